/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for libFuzzer where there is none: runs a fuzz target over every file of the corpus
 * folders named on the command line, so that what a fuzzer once found is tried in every test run.
 * One TAP line a folder; a folder without files is a failure, for it would prove nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An exact-size heap block lets AddressSanitizer see a read of one byte too many. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat about;
    if (file == NULL || fstat(fileno(file), &about) != 0 || !S_ISREG(about.st_mode)) {
        if (file != NULL)
            fclose(file);
        printf("# cannot read %s: %s\n", path, strerror(errno));
        return -1;
    }
    size_t size = (size_t)about.st_size;
    uint8_t *data = malloc(size == 0 ? 1 : size);
    size_t got = data == NULL ? 0 : fread(data, 1, size, file);
    fclose(file);
    if (data == NULL || got != size) {
        printf("# cannot read all of %s\n", path);
        free(data);
        return -1;
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

static int replay_folder(const char *folder, int number)
{
    DIR *dir = opendir(folder);
    int files = 0;
    int failed = 0;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        /* Told before the run: if this input ends the process, its name is the last line. */
        printf("# %s\n", entry->d_name);
        fflush(stdout);
        failed += replay_file(path) != 0;
        files++;
    }
    if (dir != NULL)
        closedir(dir);
    if (files == 0)
        printf("# %s holds no input\n", folder);
    printf("%sok %d - %d inputs replayed\n", files == 0 || failed > 0 ? "not " : "", number, files);
    return files == 0 || failed > 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++)
        failed += replay_folder(argv[i], i);
    return argc < 2 || failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
