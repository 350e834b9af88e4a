/* SPDX-License-Identifier: Apache-2.0 */
/* The C library's heap, of a program that stays for months and is idle most of the time. */
#ifndef GEMEL_AGENT_HEAP_H
#define GEMEL_AGENT_HEAP_H

/*
 * Begins this program anew, once, with a heap that keeps no freed pieces for each thread: they cost
 * 0.5 MiB at rest and more while the baseline is read, since glibc's calloc never takes one of
 * them. It can be told only by the environment, and before the first allocation. Returns where that
 * is not possible or not needed: another C library, GLIBC_TUNABLES set by whoever started us, no
 * /proc. For main(), before anything is opened.
 */
void heap_keep_small(char **argv);

#endif
