// main() of every executable; in a file of its own, so that tests link the rest with their own.
#include "nnrt.h"

int main(int argc, char **argv) {
  return nnrt_trainer_main(nnrt_programs, argc, argv);
}
