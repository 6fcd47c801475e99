// The binary `presil`: exit 0 done, 1 the simulated program failed, 2 bad input.
#include "cli/parse.h"

int main(int argc, char** argv) { return presil::cli::main(argc, argv); }
