/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of the process, under the names that Prometheus' own clients use. */
#include "metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void write_number(
    const char *name, const char *type, const char *help, double value, struct buf *out)
{
    buf_add_format(
        out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

static void write_memory(struct buf *out)
{
    unsigned long long size = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    bool read = file != NULL && fscanf(file, "%llu %llu", &size, &resident) == 2;
    if (file != NULL)
        fclose(file);
    if (!read)
        return;
    double page = (double)sysconf(_SC_PAGESIZE);
    write_number(
        "process_virtual_memory_bytes", "gauge", "Virtual memory.", (double)size * page, out);
    write_number(
        "process_resident_memory_bytes", "gauge", "Resident memory.", (double)resident * page, out);
}

static void write_files(struct buf *out)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    struct rlimit limit;
    if (directory == NULL)
        return;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    /* ".", ".." and the directory's own. */
    write_number(
        "process_open_fds", "gauge", "Open files.", count > 3 ? (double)(count - 3) : 0, out);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        write_number(
            "process_max_fds", "gauge", "Files that may be open.", (double)limit.rlim_cur, out);
}

static void write_processor(struct buf *out)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    write_number("process_cpu_seconds_total", "counter", "Processor time.", seconds, out);
}

void metrics_write_process(const char *version, struct buf *out)
{
    buf_add_format(out,
        "# HELP gemel_build_info The version.\n# TYPE gemel_build_info gauge\n"
        "gemel_build_info{version=\"%s\"} 1\n",
        version);
    write_memory(out);
    write_files(out);
    write_processor(out);
}
