// The command line: argv to one options struct per command, and from there to the command's function. The only user of
// CLI11.
#pragma once

namespace presil::cli {

int main(int argc, char** argv);

}  // namespace presil::cli
