/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine to judge, made of files in a temporary folder, and a folder of check files that are
 * signed by a key of the test's own.
 */
#ifndef GEMEL_TEST_BASELINE_MACHINE_H
#define GEMEL_TEST_BASELINE_MACHINE_H

#include "baseline.h"

#include <sys/types.h>

struct machine {
    char dir[64];
    char root[96];
    char checks[96];
    char keys[96]; /* the PEM file */
    void *key;     /* EVP_PKEY */
    struct baseline_options options;
    char id[320]; /* of the finding last judged */
    char reason[512];
};

/* For cmocka: setup and teardown. */
int machine_setup(void **state);
int machine_teardown(void **state);

/* Make a file (its folders, too), a folder, a link below the root; remove what is there. */
void machine_file(struct machine *machine, const char *path, const char *content);
void machine_bytes(struct machine *machine, const char *path, struct span content);
void machine_mode(struct machine *machine, const char *path, unsigned mode);
void machine_owner(struct machine *machine, const char *path, uid_t user, gid_t group);
void machine_folder(struct machine *machine, const char *path);
void machine_link(struct machine *machine, const char *path, const char *target);
void machine_remove(struct machine *machine, const char *path);
/* Empties the root. */
void machine_clear(struct machine *machine);

/* Writes a check file and its signature by the test's key (or by another one, unsigned: NULL). */
void machine_check_file(struct machine *machine, const char *name, const char *text);
void machine_sign(struct machine *machine, const char *name, struct span bytes, void *key);
void *machine_new_key(void);
void machine_free_key(void *key);

/* Judges a rule, as JSON with ' for ". The reason is in machine->reason. */
enum baseline_result machine_judge(struct machine *machine, const char *rule);

/* Fails the test if a rule gives another result, or the reason lacks a text (NULL: any). */
void machine_expect(
    struct machine *machine, const char *rule, enum baseline_result result, const char *reason);

#endif
