/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc/PID/stat and /proc/PID/status say; a process chooses the name in both. */
#include "procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct process_stat stat;
    struct process_status status;
    (void)procfs_parse_stat(text, &stat);
    if (procfs_parse_status(text, &status))
        must(status.comm.len <= size);
    return 0;
}
