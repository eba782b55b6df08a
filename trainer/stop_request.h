// SIGTERM and SIGINT, which ask a run to save its state and to end.
#ifndef STYLEX_TRAINER_STOP_REQUEST_H_
#define STYLEX_TRAINER_STOP_REQUEST_H_

namespace stylex {

// While it lives, the signals do not end the process. One at a time.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  bool requested() const;

 private:
  void (*old_term_)(int);
  void (*old_int_)(int);
};

}  // namespace stylex

#endif  // STYLEX_TRAINER_STOP_REQUEST_H_
