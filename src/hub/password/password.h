/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords of accounts: Argon2id in its encoded form ("$argon2id$v=19$…"), which carries its own
 * parameters and salt. Hashing and checking take tens of milliseconds and 32 MiB: never on a thread
 * that serves connections.
 */
#ifndef GEMEL_HUB_PASSWORD_H
#define GEMEL_HUB_PASSWORD_H

#include "err.h"
#include "span.h"

#define PASSWORD_HASH_SIZE 128
#define PASSWORD_GENERATED_SIZE 25

/* Makes a random password of 100 bits that people can type: five groups of four. */
enum err password_generate(char ret_password[PASSWORD_GENERATED_SIZE], struct why *why) MUST_USE;

enum err password_hash(
    struct span password, char ret_hash[PASSWORD_HASH_SIZE], struct why *why) MUST_USE;

/* Whether the password is the hash's. False also for a hash that cannot be read. ERR_MEMORY. */
enum err password_check(struct span password, const char *hash, bool *ret_matches) MUST_USE;

/* The hash of a password that nobody knows, at the same costs: to be checked in place of one that
 * is not there, so that the time tells nothing. */
extern const char password_hash_of_nobody[];

#endif
