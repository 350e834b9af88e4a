/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of the test's own, before the FileSystem collector on the real inotify. */
#ifndef GEMEL_TEST_FILES_PLACE_H
#define GEMEL_TEST_FILES_PLACE_H

#include "fixture.h"

extern const char *files_schema_dir; /* main() sets it */

int files_setup(void **state);
int files_teardown(void **state);

/* The path of a name in the directory; good for seven more calls. */
const char *files_in(const struct fixture *f, const char *name);

/* Watches a list of paths from now on. */
void files_watch(struct fixture *f, const char *paths);

/* Puts a number in force. */
void files_set(struct fixture *f, enum setting_id id, int64_t number);

/* Runs until nothing comes any more. */
void files_settle(struct fixture *f);

/* And flushes. */
void files_collect(struct fixture *f);

/* How often that was told of a path so far; `mask` is "Moved FROM" or "Moved TO" for moves. */
int64_t files_hits(const struct fixture *f, const char *mask, const char *path);

/* Of all paths, or of all that happened: NULL. */
int64_t files_all_hits(const struct fixture *f, const char *mask);
void files_expect(const struct fixture *f, const char *mask, const char *path, int64_t wanted);

/* What others do. */
void files_write(const char *path, const char *text);
void files_make(const char *path);
void files_touch(const char *path);

#define FILES_TEST(name) cmocka_unit_test_setup_teardown(name, files_setup, files_teardown)

#endif
