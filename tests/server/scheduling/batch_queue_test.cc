#include "server/scheduling/batch_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "server/scheduling/device_scheduler.h"
#include "tests/server/scheduling/fake_clock.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NoPass : public BatchedPass {
 public:
  const char* stage() const override { return "none"; }
  void Run(std::span<void* const>) override {}
};

class BatchQueueTest : public ::testing::Test {
 protected:
  BatchTicket* Push(BatchQueue* queue, BatchedPass* pass) {
    tickets_.push_back(std::make_unique<BatchTicket>());
    BatchTicket* ticket = tickets_.back().get();
    ticket->pass = pass;
    ticket->wanted = [] { return true; };
    ticket->queued = clock_.Now();
    queue->Push(ticket);
    return ticket;
  }

  FakeClock clock_;
  NoPass encode_, classify_;
  std::vector<std::unique_ptr<BatchTicket>> tickets_;
};

TEST_F(BatchQueueTest, AnEmptyQueueIsNeverDue) {
  BatchQueue queue({});
  EXPECT_EQ(queue.DueAt(), absl::InfiniteFuture());
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, IsEmpty());
}

TEST_F(BatchQueueTest, WithoutDelayWhatWaitsGoesAtOnceAndTogether) {
  BatchQueue queue({.max_batch = 4});
  BatchTicket* a = Push(&queue, &encode_);
  BatchTicket* b = Push(&queue, &encode_);
  EXPECT_LE(queue.DueAt(), clock_.Now());
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, ElementsAre(a, b));
  EXPECT_EQ(queue.size(), 0u);
}

TEST_F(BatchQueueTest, ABatchIsOfOneKindAndTheOldestGoesFirst) {
  BatchQueue queue({.max_batch = 4});
  BatchTicket* a = Push(&queue, &classify_);
  BatchTicket* b = Push(&queue, &encode_);
  BatchTicket* c = Push(&queue, &classify_);
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, ElementsAre(a, c));
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, ElementsAre(b));
}

TEST_F(BatchQueueTest, ABatchIsNeverTooBigAndTheRestKeepsItsPlace) {
  BatchQueue queue({.max_batch = 2});
  BatchTicket* a = Push(&queue, &encode_);
  BatchTicket* b = Push(&queue, &encode_);
  BatchTicket* c = Push(&queue, &encode_);
  BatchTicket* d = Push(&queue, &classify_);
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, ElementsAre(a, b));
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, ElementsAre(c));
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, ElementsAre(d));
}

TEST_F(BatchQueueTest, ADelayWaitsForOthersButNotLonger) {
  BatchQueue queue({.max_batch = 3, .max_delay = absl::Milliseconds(2)});
  const absl::Time start = clock_.Now();
  BatchTicket* a = Push(&queue, &encode_);
  EXPECT_EQ(queue.DueAt(), start + absl::Milliseconds(2));
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, IsEmpty());
  clock_.Advance(absl::Milliseconds(1));
  BatchTicket* b = Push(&queue, &encode_);
  EXPECT_EQ(queue.DueAt(), start + absl::Milliseconds(2)) << "the oldest counts";
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, ElementsAre(a, b));
}

TEST_F(BatchQueueTest, AFullBatchDoesNotWaitAndPassesOneThatDoes) {
  BatchQueue queue({.max_batch = 2, .max_delay = absl::Seconds(1)});
  BatchTicket* a = Push(&queue, &classify_);
  BatchTicket* b = Push(&queue, &encode_);
  BatchTicket* c = Push(&queue, &encode_);
  EXPECT_LE(queue.DueAt(), clock_.Now());
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, ElementsAre(b, c));
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, IsEmpty());
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(queue.Take(clock_.Now()).tickets, ElementsAre(a));
}

TEST_F(BatchQueueTest, TheUnwantedAreDroppedWhenABatchIsFormed) {
  BatchQueue queue({.max_batch = 2});
  BatchTicket* a = Push(&queue, &encode_);
  BatchTicket* b = Push(&queue, &encode_);
  BatchTicket* c = Push(&queue, &encode_);
  BatchTicket* d = Push(&queue, &classify_);
  a->wanted = d->wanted = [] { return false; };
  const BatchQueue::Batch batch = queue.Take(clock_.Now());
  EXPECT_THAT(batch.tickets, ElementsAre(b, c)) << "the dropped one's place is free";
  EXPECT_THAT(batch.unwanted, ElementsAre(a, d));
  EXPECT_EQ(queue.size(), 0u);
}

}  // namespace
}  // namespace stylex
