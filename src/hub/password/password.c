/* SPDX-License-Identifier: Apache-2.0 */
#include "password.h"

#include <argon2.h>
#include <openssl/rand.h>

enum { PASSES = 2, MEMORY_KIB = 32768, LANES = 1, SALT_BYTES = 16, HASH_BYTES = 32 };

const char password_hash_of_nobody[] = "$argon2id$v=19$m=32768,t=2,p=1$Z2VtZWwtbm8tc3VjaC11c2Vy$"
                                       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/* Without I, L, O, U: none is taken for another, none makes words. 32 letters, 5 bits each. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

enum err password_generate(char ret_password[PASSWORD_GENERATED_SIZE], struct why *why)
{
    unsigned char random[PASSWORD_GENERATED_SIZE];
    if (RAND_bytes(random, sizeof(random)) != 1)
        return fail(ERR_SERVER, why, "the system gives no random numbers");
    for (size_t i = 0; i < PASSWORD_GENERATED_SIZE - 1; i++)
        ret_password[i] = i % 5 == 4 ? '-' : alphabet[random[i] % 32];
    ret_password[PASSWORD_GENERATED_SIZE - 1] = '\0';
    return ERR_NONE;
}

enum err password_hash(struct span password, char ret_hash[PASSWORD_HASH_SIZE], struct why *why)
{
    unsigned char salt[SALT_BYTES];
    if (RAND_bytes(salt, sizeof(salt)) != 1)
        return fail(ERR_SERVER, why, "the system gives no random numbers");
    int code = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password.ptr, password.len, salt,
        sizeof(salt), HASH_BYTES, ret_hash, PASSWORD_HASH_SIZE);
    if (code == ARGON2_MEMORY_ALLOCATION_ERROR)
        return fail(ERR_MEMORY, why, "no memory to hash a password");
    if (code != ARGON2_OK)
        return fail(ERR_ARGUMENT, why, "the password: %s", argon2_error_message(code));
    return ERR_NONE;
}

enum err password_check(struct span password, const char *hash, bool *ret_matches)
{
    int code = argon2id_verify(hash, password.ptr, password.len);
    if (code == ARGON2_MEMORY_ALLOCATION_ERROR)
        return ERR_MEMORY;
    *ret_matches = code == ARGON2_OK;
    return ERR_NONE;
}
