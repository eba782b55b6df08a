// What a data set consists of, file by file: to recognise it when a run goes on, and to see what is
// in it before anything is computed.
#ifndef STYLEX_TRAINER_DATA_INVENTORY_H_
#define STYLEX_TRAINER_DATA_INVENTORY_H_

#include <string>
#include <vector>

#include "stylex/v1/run_record.pb.h"
#include "trainer/data/dataset.h"

namespace stylex {

// Every file of the data set with its size and hash, sorted by split and name. Names are below the
// folder that all files have in common, so that a copy elsewhere has the same inventory; bytes that
// are not UTF-8 are escaped. A file that cannot be read has size -1.
std::vector<v1::DataFile> TakeInventory(const Dataset& dataset);

// How the files differ from those of `then`: counts, and the first files that are gone, new or
// changed, with both values. Empty if they are the same.
std::string InventoryDifference(const std::vector<v1::DataFile>& then,
                                const std::vector<v1::DataFile>& now);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_INVENTORY_H_
