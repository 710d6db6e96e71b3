// The trainer on damaged, odd and hostile files, and where it can't write: always one clear error,
// exit status 1, no partial file, an existing good file kept.
#include "trainer_program.h"

#include <dirent.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "../../runtime/trainer/trainer.h"

static ToyProgram toy;
static Outcome o;

static int part_files(void) {
  int count = 0;
  DIR *folder = opendir(".");
  for (struct dirent *e; folder && (e = readdir(folder));)
    count += strstr(e->d_name, ".part") != NULL;
  if (folder)
    closedir(folder);
  return count;
}

static void refuse(const char *name, const char *arguments, const char *message) {
  toy_run(&toy, arguments, &o);
  toy_check(o.status == 1 && strstr(o.error, message) && !strncmp(o.error, "toy: error: ", 12) &&
                !strstr(o.error + 12, "error:") && !part_files(),
            name, "status %d, parts %d, error %.300s", o.status, part_files(), o.error);
}

static void accept(const char *name, const char *arguments, const char *in_out) {
  toy_run(&toy, arguments, &o);
  toy_check(o.status == 0 && !o.error[0] && strstr(o.out, in_out), name,
            "status %d, out %.100s, error %.300s", o.status, o.out, o.error);
}

// ---- csv --------------------------------------------------------------------------------------

static void test_bad_csv(void) {
  static const struct {
    const char *name, *text, *message;
  } cases[] = {
      {"csv_text", "1,2,3,4,0\n1,2,abc,4,0\n",
       "bad.csv: line 2, column 3: \"abc\", expected a number"},
      {"csv_header", "a,b,c,d,e\n1,2,3,4,0\n", "say header = true"},
      {"csv_empty_field", "1,2,3,4,0\n1,,3,4,0\n", "line 2, column 2: nothing, expected a number"},
      {"csv_short", "1,2,3,4,0\n1,2,3\n", "line 2 has 3 columns, expected 5"},
      {"csv_long", "1,2,3,4,0\n1,2,3,4,0,9\n", "line 2 has 6 columns, expected 5"},
      {"csv_few", "1,2,3\n", "line 1 has 3 columns, expected at least 5"},
      {"csv_other_separator", "1;2;3;4;0\n", "line 1 has 1 column, expected at least 5"},
      {"csv_label", "1,2,3,4,0\n1,2,3,4,3\n", "\"3\", expected an index from 0 to 2 for \"label\""},
      {"csv_label_negative", "1,2,3,4,-1\n", "expected an index from 0 to 2"},
      {"csv_label_fraction", "1,2,3,4,1.5\n", "expected an index from 0 to 2"},
      {"csv_overflow", "1,2,3,1e60,0\n", "expected a number that fits f32"},
      {"csv_huge_number", "1,2,3,1e99999,0\n", "expected a number"},
      {"csv_quote", "1,2,\"3,4,0\n", "column 3: a quote (\") is opened but not closed"},
      {"csv_after_quote", "1,2,\"3\"x,4,0\n", "text after the closing quote"},
      {"csv_empty", "", "there are no rows"},
      {"csv_blank", "\n\n\n", "there are no rows"},
      {"csv_few_rows", "1,2,3,4,0\n", "leaves no rows to train with"},
  };
  toy.train_file[0] = "bad.csv";
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    toy_write_text("bad.csv", cases[i].text);
    refuse(cases[i].name, "", cases[i].message);
  }
  toy_write("bad.csv", "1,2,3\0,4,0\n", 11);
  refuse("csv_nul", "", "\"3?\", expected a number");
  toy_write("bad.csv", "\x1f\x8b\x08", 3);
  refuse("csv_gz_cut", "", "the gzip data ends too early");
  toy_write("bad.csv", "\x1f\x8b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
  refuse("csv_gz_damaged", "", "the gzip data is damaged");
  unlink("bad.csv");
  refuse("csv_missing", "", "bad.csv (the current folder)");
  mkdir("bad.csv", 0777);
  refuse("csv_folder", "", "is a folder");
  rmdir("bad.csv");
  toy_make(&toy);
  toy.train_file[0] = "mnist/train-images-idx3-ubyte.gz";
  refuse("public_set", "--data /nowhere", "it belongs to MNIST: http");
  toy_check(strstr(o.error, "/nowhere/mnist/train-images-idx3-ubyte.gz (--data)") != NULL,
            "looked_for", "%s", o.error);
  toy_make(&toy);
}

static void test_good_csv(void) {
  static const struct {
    const char *name, *text;
    bool header;
    char separator;
  } cases[] = {
      {"csv_crlf", "1,2,3,4,0\r\n5,6,7,8,1\r\n", false, ','},
      {"csv_no_last_newline", "1,2,3,4,0\n5,6,7,8,1", false, ','},
      {"csv_bom",
       "\xef\xbb\xbf"
       "1,2,3,4,0\n5,6,7,8,1\n",
       false, ','},
      {"csv_quoted", "\"1\", 2 ,\"3\" ,4,0\n5,6,7,8,1\n", false, ','},
      {"csv_blanks", "  1 2   3\t4 0\n5 6 7 8 1  \n", false, ' '},
      {"csv_tabs", "1\t2\t3\t4\t0\n5\t6\t7\t8\t1\n", false, '\t'},
      {"csv_semicolons", "1;2;3;4;0\n\n5;6;7;8;1\n", false, ';'},
      {"csv_named", "\"a, b\",b,c,d,label\n1,2,3,4,0\n5,6,7,8,1\n", true, ','},
      {"csv_text_elsewhere", "1,2,3,4,0,red\n5,6,7,8,1,\"green, or blue\"\n", false, ','},
      {"csv_forms", "+1,2.0,.3e1,4e0,0\n5,6,7,8,1\n", false, ','},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    NnrtColumn column[] = {{.name = "x", .type = {NNRT_F32, 2, {2, 2}, 0}},
                           {.name = "label", .type = {NNRT_I32, 0, {0}, 3}, .first = 4}};
    column[1].header = cases[i].header ? "label" : NULL;
    const char *file = "good.csv";
    NnrtSource source = {.kind = NNRT_CSV,
                         .file = &file,
                         .n_file = 1,
                         .header = cases[i].header,
                         .separator = cases[i].separator};
    TableRequest request = {.column = column, .n_column = 2, .data_name = "Points"};
    Table table = {0};
    Failure failure = {{0}};
    toy_write_text("good.csv", cases[i].text);
    bool good = table_load(&table, &source, &request, &failure) && table.rows == 2;
    for (int k = 0; good && k < 8; k++)
      good = ((float *)table.column[0].values)[k] == (float)(k + 1);
    good = good && ((int32_t *)table.column[1].values)[1] == 1;
    toy_check(good, cases[i].name, "%s", failure.text);
    table_free(&table);
  }
  toy.column[1].header = "labels";
  toy.data.train.header = true;
  toy_write_text("train.csv", "1,2,3,4,0\n1,2,3,4,1\n");
  refuse("csv_numbers_as_names", "", "line 1 is all numbers, expected the names");
  toy_write_text("train.csv", "a,b,c,d,label\n1,2,3,4,0\n");
  refuse("csv_name_near", "", "has no column \"labels\"; did you mean \"label\"?");
  toy_write_text("train.csv", "labels,b,c,d,labels\n1,2,3,4,0\n");
  refuse("csv_name_twice", "", "columns 1 and 5 are both called \"labels\"");
  toy_make(&toy);
  toy_write_csv("train.csv", 120, 1);
}

// ---- idx --------------------------------------------------------------------------------------

static void gzip_to(const char *path, const void *bytes, size_t size) {
  gzFile file = gzopen(path, "wb");
  if (!file || gzwrite(file, bytes, (unsigned)size) != (int)size || gzclose(file) != Z_OK)
    toy_check(false, "gzip", "can't write %s", path);
}

static void test_idx(void) {
  static const struct {
    const char *name;
    size_t at;     // which byte of x.idx
    uint8_t value; // becomes this
    const char *message;
  } cases[] = {
      {"idx_magic", 0, 1, "which is no idx file"},
      {"idx_type", 2, 0x0a, "which is no idx file"},
      {"idx_other_type", 2, 0x0e, "end before"},
      {"idx_rank", 3, 2, "the header says"},
      {"idx_rank_huge", 3, 200, "the header says rank 200"},
      {"idx_rows_more", 7, 121, "121x2x2 values of 1 bytes, but the file's 496 bytes end before"},
      {"idx_rows_fewer", 7, 119, "492 bytes in all, but there are 496"},
      {"idx_rows_huge", 4, 0xff, "end before"},
      {"idx_dim_huge", 8, 0xff, "end before"},
      {"idx_dim_zero", 11, 0, "the header says"},
  };
  toy_use_idx(&toy);
  toy_write_idx("x.idx", "label.idx", 120, 1);
  toy_write_idx("test-x.idx", "test-label.idx", 40, 2);
  accept("idx", "--epochs 2", "test  loss ");
  accept("idx_predict", "predict --limit 1", "row 0: Class ");
  accept("idx_predict_file", "predict test-x.idx --limit 1", "test-x.idx row 0: Class ");
  size_t size, label_size;
  char *x = toy_read("x.idx", &size), *label = toy_read("label.idx", &label_size);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *bad = malloc(size);
    memcpy(bad, x, size);
    bad[cases[i].at] = (char)cases[i].value;
    toy_write("x.idx", bad, size);
    refuse(cases[i].name, "", cases[i].message);
    gzip_to("x.idx", bad, size);
    toy_run(&toy, "", &o);
    toy_check(o.status == 1 && strstr(o.error, "x.idx: "), "idx_bad_gz", "%s: %s", cases[i].name,
              o.error);
    free(bad);
  }
  for (size_t cut = 0; cut < 20; cut++) {
    toy_write("x.idx", x, cut);
    refuse("idx_cut", "", "x.idx: ");
  }
  uint8_t everything[16] = {0, 0, 8, 3};
  memset(everything + 4, 0xff, 12);
  toy_write("x.idx", everything, 16);
  refuse("idx_overflow", "", "end before");
  gzip_to("x.idx", x, size);
  accept("idx_gz", "--epochs 1", "test  loss ");
  char *packed = toy_read("x.idx", &label_size);
  packed[label_size - 8] ^= 1; // the checksum
  toy_write("x.idx", packed, label_size);
  refuse("idx_gz_checksum", "", "x.idx: the gzip data is damaged");
  packed[label_size - 8] ^= 1;
  toy_write("x.idx", packed, label_size - 9);
  refuse("idx_gz_cut", "", "x.idx: the gzip data ends too early");
  FILE *file = fopen("x.idx", "wb");
  fwrite(packed, 1, label_size, file);
  fputs("more", file);
  fclose(file);
  refuse("idx_gz_garbage", "", "x.idx: the gzip data is damaged");
  free(packed);
  toy_write("x.idx", x, size);
  label[8 + 57] = 3;
  toy_write("label.idx", label, 128);
  refuse("idx_label", "", "label.idx: row 57 is 3, expected an index from 0 to 2 for \"label\"");
  toy_write_idx("y.idx", "label.idx", 119, 1);
  refuse("idx_rows_differ", "", "label.idx: has 119 rows, but x.idx has 120");
  unlink("test-label.idx");
  accept("idx_unlabelled", "predict --limit 1", "row 0");
  refuse("idx_no_label", "eval", "test-label.idx: no such data file");
  toy.column[0].type.dim[1] = 3;
  toy_write_idx("y.idx", "label.idx", 120, 1);
  toy_write_idx("y.idx", "test-label.idx", 40, 1);
  refuse("idx_shape", "", "x.idx: each row is 2x2, but \"x\" is declared as 2x3");
  free(x);
  free(label);
  toy_make(&toy);
}

// ---- weights ----------------------------------------------------------------------------------

static void write_weights(const char *header, size_t data) {
  FILE *file = fopen("w.safetensors", "wb");
  uint64_t length = strlen(header);
  fwrite(&length, 8, 1, file);
  fputs(header, file);
  for (size_t i = 0; i < data; i++)
    fputc(0, file);
  fclose(file);
}

#define W "\"dense.weight\":{\"dtype\":\"F32\",\"shape\":[4,3],\"data_offsets\":[0,48]}"
#define BIAS "\"dense.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":"

// Rule 17: loading wants equal sets of names and shapes; one error lists what is wrong.
static void test_weights(void) {
  static const struct {
    const char *name, *header;
    size_t data;
    const char *message;
  } cases[] = {
      {"st_json", "{\"a\":", 0, "is no .safetensors file: byte"},
      {"st_array", "[]", 0, "its header is no JSON object"},
      {"st_empty", "{}", 0, "dense.weight: missing, expected F32[4, 3]"},
      {"st_missing", "{" W "}", 48, "dense.bias: missing"},
      {"st_extra",
       "{" W "," BIAS "[48,60]},\"z\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[60,61]}}",
       61, "z: not in this program"},
      {"st_shape",
       "{\"dense.weight\":{\"dtype\":\"F32\",\"shape\":[3,4],\"data_offsets\":[0,48]}," BIAS
       "[48,60]}}",
       60, "dense.weight: expected F32[4, 3], found F32[3, 4]"},
      {"st_dtype",
       "{\"dense.weight\":{\"dtype\":\"I32\",\"shape\":[4,3],\"data_offsets\":[0,48]}," BIAS
       "[48,60]}}",
       60, "found I32[4, 3]"},
      {"st_unknown_dtype", "{\"a\":{\"dtype\":\"F99\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
       "unknown dtype"},
      {"st_overlap", "{" W "," BIAS "[36,48]}}", 48, "it overlaps another"},
      {"st_gap", "{" W "," BIAS "[52,64]}}", 64, "there is a gap before it"},
      {"st_behind", "{" W "," BIAS "[48,60]}}", 61, "1 bytes lie behind the last tensor"},
      {"st_cut", "{" W "," BIAS "[48,60]}}", 59, "the file is cut off"},
      {"st_backwards", "{" W "," BIAS "[60,48]}}", 60, "they end before they begin"},
      {"st_size", "{" W "," BIAS "[48,56]}}", 60, "its shape and dtype need 12"},
      {"st_offsets", "{" W "," BIAS "[48]}}", 60, "two data_offsets"},
      {"st_negative", "{" W "," BIAS "[-1,60]}}", 60, "two data_offsets"},
      {"st_fraction", "{" W "," BIAS "[48.5,60]}}", 60, "two data_offsets"},
      {"st_huge",
       "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],"
       "\"data_offsets\":[0,4]}}",
       4, "impossible shape"},
      {"st_twice",
       "{" W ",\"dense.weight\":{\"dtype\":\"F32\",\"shape\":[4,3],\"data_offsets\":[48,96]}}", 96,
       "is there twice"},
      {"st_number", "{\"a\":1}", 0, "lacks a dtype"},
      {"st_deep", "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0,
       "fewer nested"},
      {"st_escape", "{\"a\\u0000\":1}", 0, "a legal character"},
  };
  accept("st_good", "--epochs 1 --out keep.safetensors", "saved");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_weights(cases[i].header, cases[i].data);
    refuse(cases[i].name, "eval --load w.safetensors", cases[i].message);
  }
  write_weights("{" W "," BIAS "[48,60]}}   ", 60);
  accept("st_minimal", "eval --load w.safetensors", "test  loss 1.0986");
  for (size_t cut = 0; cut < 12; cut++) {
    toy_write("w.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{\"a\"", cut);
    refuse("st_length", "eval --load w.safetensors", "is no .safetensors file, or is cut off");
  }
  refuse("st_load_folder", "eval --load .", "is a folder");
  size_t size;
  char *good = toy_read("keep.safetensors", &size);
  toy_check(good && (size_t)(good[0] + 256 * good[1] + 8) % 8 == 0, "st_aligned", "%d",
            good ? good[0] : 0);
  free(good);
}

// ---- Pictures ---------------------------------------------------------------------------------

static void write_png(const char *path, int width, int height, int format, const uint8_t *pixels) {
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = (unsigned)width,
                     .height = (unsigned)height,
                     .format = (unsigned)format};
  if (!png_image_write_to_file(&image, path, 0, pixels, 0, NULL))
    toy_check(false, "write_png", "%s", image.message);
}

static void test_pictures(void) {
  static const uint8_t grey[] = {10, 250, 20, 5, 0, 0, 0, 0, 0};
  static const uint8_t colour[] = {10, 10, 10, 250, 250, 250, 20, 20, 20, 5, 5, 5};
  accept("png_train", "--epochs 60", "saved");
  write_png("grey.png", 2, 2, PNG_FORMAT_GRAY, grey);
  write_png("colour.png", 2, 2, PNG_FORMAT_RGB, colour);
  write_png("large.png", 3, 3, PNG_FORMAT_GRAY, grey);
  accept("png", "predict grey.png colour.png", "grey.png: Class 1 (");
  toy_check(strstr(o.out, "colour.png: Class 1 (") != NULL, "png_colour", "%s", o.out);
  refuse("png_size", "predict large.png",
         "the picture is 3 x 3 pixels, expected \"x\", which is 2x2");
  size_t size;
  char *good = toy_read("grey.png", &size);
  for (size_t cut = 8; cut + 13 < size; cut += 5) {
    toy_write("cut.png", good, cut);
    refuse("png_cut", "predict cut.png", "cut.png: the PNG is damaged");
  }
  memset(good + 16, 0x7f, 8); // width and height
  toy_write("cut.png", good, size);
  refuse("png_huge", "predict cut.png", "cut.png: the P");
  free(good);
  toy_write_text("not.png", "hello\n");
  refuse("png_text", "predict not.png", "there are no rows");
}

// ---- Damage at random: nothing may crash ------------------------------------------------------

static uint32_t random_state = 7;
static uint32_t next_random(uint32_t below) {
  random_state = random_state * 1664525u + 1013904223u;
  return (random_state >> 8) % below;
}

static int try_load(uint32_t kind, const char *path) {
  NnrtColumn column[] = {{.name = "x", .type = {NNRT_F32, 2, {2, 2}, 0}, .first = 0},
                         {.name = "label", .type = {NNRT_I32, 0, {0}, 3}, .first = 4}};
  NnrtSource source = {.kind = kind, .file = &path, .n_file = 1, .width = 1, .separator = ','};
  TableRequest request = {
      .column = column, .n_column = kind == NNRT_IDX ? 1 : 2, .data_name = "Points"};
  Table table = {0};
  Failure failure = {{0}};
  bool good = table_load(&table, &source, &request, &failure);
  table_free(&table);
  return good == !failure.text[0];
}

static int try_weights(const char *path) {
  const NnrtProgram *program = &toy.program;
  float config = 0;
  Options options = {.config = &config};
  Values values;
  Failure failure = {{0}};
  bool good = values_open(&values, program, &options, &failure) &&
              weights_load(&values, path, false, &failure);
  values_close(&values);
  return good == !failure.text[0];
}

static int try_png(const char *path) {
  Bytes file;
  Picture picture;
  Failure failure = {{0}};
  if (!file_read(path, &file, &failure))
    return 0;
  bool good = png_read(path, &file, 1, &picture, &failure);
  free(picture.at);
  free(file.at);
  return good == !failure.text[0];
}

static void damage(const char *name, const char *path, uint32_t kind) {
  size_t size;
  char *good = toy_read(path, &size);
  int sane = 0, rounds = 400;
  for (int round = 0; good && round < rounds; round++) {
    char *bad = malloc(size);
    memcpy(bad, good, size);
    size_t cut = next_random(4) ? size : next_random((uint32_t)size);
    for (uint32_t flips = next_random(6); flips; flips--)
      bad[next_random((uint32_t)(next_random(2) && size > 64 ? 64 : size))] =
          (char)next_random(256);
    toy_write("damaged", bad, cut);
    sane += kind == 100   ? try_weights("damaged")
            : kind == 101 ? try_png("damaged")
                          : try_load(kind, "damaged");
    free(bad);
  }
  free(good);
  toy_check(sane == rounds, name, "%d of %d had a result without a message or the reverse",
            rounds - sane, rounds);
}

static void test_damage(void) {
  toy_write_idx("x.idx", "label.idx", 120, 1);
  size_t size;
  char *x = toy_read("x.idx", &size);
  gzip_to("x.idx.gz", x, size);
  free(x);
  x = toy_read("train.csv", &size);
  gzip_to("train.csv.gz", x, size);
  free(x);
  damage("damage_idx", "x.idx", NNRT_IDX);
  damage("damage_idx_gz", "x.idx.gz", NNRT_IDX);
  damage("damage_csv", "train.csv", NNRT_CSV);
  damage("damage_csv_gz", "train.csv.gz", NNRT_CSV);
  damage("damage_safetensors", "keep.safetensors", 100);
  damage("damage_png", "grey.png", 101);
}

// ---- Where nothing can be written -------------------------------------------------------------

static void compare_kept(const char *name, const char *before, size_t size, const char *path) {
  size_t now = 0;
  char *after = toy_read(path, &now);
  toy_check(after && now == size && !memcmp(before, after, size), name, "changed or gone");
  free(after);
}

static void test_full_disk(void) {
  mkdir("disk", 0777);
  if (mount("tmpfs", "disk", "tmpfs", 0, "size=20k")) {
    puts("SKIP trainer/full_disk: no tmpfs can be mounted here");
    return;
  }
  size_t size;
  accept("disk_room", "--epochs 1 --out disk/w.safetensors", "saved");
  char *good = toy_read("disk/w.safetensors", &size), *fill = calloc(1, 20000);
  FILE *file = fopen("disk/fill", "wb"); // all that is left
  for (int i = 0; i < 20 && fwrite(fill, 1, 1000, file) == 1000 && !fflush(file); i++)
    ;
  (void)fclose(file);
  refuse("full_disk", "--epochs 1 --seed 5 --out disk/w.safetensors",
         "the file that was there is unchanged");
  compare_kept("full_disk_keeps", good, size, "disk/w.safetensors");
  refuse("full_disk_csv", "predict --csv disk/p.csv --load disk/w.safetensors",
         "disk/p.csv: can't be written");
  toy_check(access("disk/p.csv", F_OK) != 0, "full_disk_no_part", "a partial file was left");
  refuse("full_disk_history", "--epochs 1 --history disk/h.csv", "disk/h.csv: can't be written");
  if (!mount("tmpfs", "disk", "tmpfs", MS_REMOUNT | MS_RDONLY, "size=20k")) {
    refuse("read_only", "--epochs 1 --out disk/w.safetensors",
           "folder disk: Read-only file system");
    compare_kept("read_only_keeps", good, size, "disk/w.safetensors");
  } else {
    puts("SKIP trainer/read_only: can't remount");
  }
  umount("disk");
  free(good);
  free(fill);
}

static void test_outputs(void) {
  refuse("out_no_folder", "--out nowhere/w.safetensors", "folder nowhere: No such file");
  refuse("out_folder", "--out .", "is a folder");
  refuse("history_no_folder", "--history nowhere/h.csv", "folder nowhere: No such file");
  refuse("csv_no_folder", "predict --csv nowhere/p.csv --load keep.safetensors", "folder nowhere");
  if (access("/dev/full", W_OK)) {
    puts("SKIP trainer/stdout_full: no /dev/full");
    return;
  }
  toy_run_to(&toy, "summary", "/dev/full", &o);
  toy_check(o.status == 1 && strstr(o.error, "the output can't be written"), "stdout_full", "%d %s",
            o.status, o.error);
  refuse("out_full", "--epochs 1 --out /dev/full", "/dev/full: can't be written: No space left");
  accept("out_null", "--epochs 1 --out /dev/null", "saved");
}

int main(void) {
  char folder[64];
  unsetenv("NN_DATA"); // the tests say where data lies
  toy_enter_folder(folder);
  toy_make(&toy);
  toy_write_csv("train.csv", 120, 1);
  toy_write_csv("test.csv", 40, 2);
  test_bad_csv();
  test_good_csv();
  test_idx();
  test_weights();
  test_pictures();
  test_damage();
  test_outputs();
  test_full_disk();
  toy_leave_folder(folder);
  return toy_failed > 0;
}
