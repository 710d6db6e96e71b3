# What is wrong in IR that a user gives to `nnc opt`: golden errors, one for each code.
for file in tests/cli/ir/*.ir; do
  name="ir-errors $(basename "$file" .ir)"
  got=$("$NNC" opt --passes=grad "$file" 2>&1)
  status=$?
  if [ -n "$BLESS" ]; then echo "$got" > "${file%.ir}.err"; fi
  if [ $status = 1 ] && [ "$got" = "$(cat "${file%.ir}.err")" ]; then echo "PASS $name"
  else echo "FAIL $name: status $status: $got"; fi
done
