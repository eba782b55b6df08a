#include "trainer/commands/command_line.h"

int main(int argc, char** argv) { return stylex::TrainMain(argc, argv); }
