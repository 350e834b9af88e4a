/* SPDX-License-Identifier: Apache-2.0 */
/* What judging does to a verdict and nobody else may. */
#ifndef GEMEL_VERDICT_PRIV_H
#define GEMEL_VERDICT_PRIV_H

#include "verdict.h"

/* Adds a line for the log about a good field. ERR_MEMORY. */
enum err verdict_note(struct verdict *verdict, struct span name, const char *sentence) MUST_USE;

#endif
