// SIGTERM, SIGINT and SIGHUP (unless it is ignored, as under nohup) as events that a thread waits
// for, because signal handlers may call almost no functions.
#ifndef STYLEX_SERVER_SIGNALS_H_
#define STYLEX_SERVER_SIGNALS_H_

namespace stylex {

// Call before any thread starts, those of libraries included: all threads inherit the mask.
void BlockStopSignals();

// Waits for one of these signals and returns its number.
int WaitForStopSignal();

// Makes the next of these signals end the process at once, with exit code 128 + number.
void ExitOnNextStopSignal();

}  // namespace stylex

#endif  // STYLEX_SERVER_SIGNALS_H_
