/* SPDX-License-Identifier: Apache-2.0 */
/* gemel-settings-doc schema|reference: prints what docs/reference holds about the settings. */
#include "settings_doc.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    if (argc == 2 && strcmp(argv[1], "schema") == 0) {
        settings_write_schema(&text);
    } else if (argc == 2 && strcmp(argv[1], "reference") == 0) {
        settings_write_reference(&text);
    } else {
        fprintf(stderr, "usage: gemel-settings-doc schema|reference\n");
        return 2;
    }
    if (text.failed || fwrite(text.ptr, 1, text.len, stdout) != text.len || fflush(stdout) != 0) {
        fprintf(stderr, "gemel-settings-doc: the text could not be written\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
