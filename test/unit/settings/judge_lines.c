/* SPDX-License-Identifier: Apache-2.0 */
/* Judges a desired document a line of standard input, and answers each with "good" or "bad". */
#include "verdict.h"

#include <stdio.h>
#include <stdlib.h>

static const char *answer(struct span line)
{
    struct arena arena;
    struct settings base;
    struct settings effective;
    struct verdict verdict;
    struct json *document;
    struct why why;
    arena_init(&arena, 0);
    settings_init(&base);
    settings_init(&effective);
    verdict_init(&verdict);
    enum err err = json_parse(&arena, line, 0, &document, &why);
    if (err == ERR_NONE)
        err = settings_judge(&base, document, &effective, &verdict);
    settings_done(&effective);
    verdict_done(&verdict);
    arena_done(&arena);
    return err == ERR_NONE ? "good" : err == ERR_ARGUMENT ? "bad" : "no document";
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    while ((len = getline(&line, &size, stdin)) > 0)
        puts(answer((struct span){line, (size_t)len}));
    free(line);
    return 0;
}
