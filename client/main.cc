#include "client/command_line.h"

int main(int argc, char** argv) { return stylex::ClientMain(argc, argv); }
