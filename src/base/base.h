/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every file of the project may rely on: the compiler's attributes, and must(), which states
 * what only a bug of ours can break. must() is on in every build and is never used on anything
 * that a peer sent, a person typed or a machine may lack: those are errors (err.h).
 */
#ifndef GEMEL_BASE_H
#define GEMEL_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#define UNUSED __attribute__((unused))

/* Runs FN(&variable) when the variable goes out of scope: `AUTO(buf_done) struct buf b;`. */
#define AUTO(fn) __attribute__((cleanup(fn)))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define must(condition)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            must_failed(#condition, __FILE__, __LINE__);                                           \
    } while (0)

/* Prints what was broken and where to standard error and aborts. */
NORETURN void must_failed(const char *condition, const char *file, int line);

#endif
