/* What AES-128-CTR and HMAC-SHA1 of libcrypto cost for the bytes of one SRTP packet, without anything around them.
 *
 *   raw_crypto    one line per way of calling it: name, microseconds per packet (median of many short slices)
 *
 * The same bytes as SRTP with a 1200-byte packet: 1188 of payload encrypted in place, 1200 and a roll-over counter of 4
 * authenticated, a new initialisation vector each time, keys expanded before.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PACKET = 1200, HEADER = 12, COUNTER = 4, TAG = 10, SLICES = 101, PACKETS = 1000 };

static uint8_t packet[PACKET + COUNTER + TAG];
static const uint8_t aes_key[16] = {1}, hmac_key[20] = {2};
static EVP_CIPHER_CTX *cipher;
static EVP_MAC_CTX *mac;
static HMAC_CTX *keyed, *used;
static SHA_CTX inner, outer;

static void must(int ok) {
    if (!ok) {
        fputs("libcrypto refused\n", stderr);
        exit(1);
    }
}

static void encrypt(uint32_t n) {
    uint8_t iv[16] = {3};
    int len;
    memcpy(iv + 8, &n, sizeof n);
    must(EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, iv));
    must(EVP_EncryptUpdate(cipher, packet + HEADER, &len, packet + HEADER, PACKET - HEADER));
}

static void with_mac(void) {
    uint8_t tag[20];
    must(EVP_MAC_init(mac, NULL, 0, NULL));
    must(EVP_MAC_update(mac, packet, PACKET + COUNTER));
    must(EVP_MAC_final(mac, tag, NULL, sizeof tag));
    memcpy(packet + PACKET + COUNTER, tag, TAG);
}

static void with_hmac(void) {
    uint8_t tag[20];
    unsigned len;
    must(HMAC_CTX_copy(used, keyed));
    must(HMAC_Update(used, packet, PACKET + COUNTER));
    must(HMAC_Final(used, tag, &len));
    memcpy(packet + PACKET + COUNTER, tag, TAG);
}

static void with_sha1(void) {
    uint8_t digest[20];
    SHA_CTX state = inner;
    SHA1_Update(&state, packet, PACKET + COUNTER);
    SHA1_Final(digest, &state);
    state = outer;
    SHA1_Update(&state, digest, sizeof digest);
    SHA1_Final(digest, &state);
    memcpy(packet + PACKET + COUNTER, digest, TAG);
}

static void pad(SHA_CTX *state, uint8_t with) {
    uint8_t block[64];
    memset(block, with, sizeof block);
    for (size_t i = 0; i < sizeof hmac_key; i++) block[i] ^= hmac_key[i];
    SHA1_Init(state);
    SHA1_Update(state, block, sizeof block);
}

static void keys(void) {
    OSSL_PARAM digest[] = {OSSL_PARAM_construct_utf8_string("digest", "SHA1", 0), OSSL_PARAM_construct_end()};
    must((cipher = EVP_CIPHER_CTX_new()) != NULL);
    must(EVP_EncryptInit_ex(cipher, EVP_aes_128_ctr(), NULL, aes_key, NULL));
    must((mac = EVP_MAC_CTX_new(EVP_MAC_fetch(NULL, "HMAC", NULL))) != NULL);
    must(EVP_MAC_init(mac, hmac_key, sizeof hmac_key, digest));
    must((keyed = HMAC_CTX_new()) != NULL && (used = HMAC_CTX_new()) != NULL);
    must(HMAC_Init_ex(keyed, hmac_key, sizeof hmac_key, EVP_sha1(), NULL));
    pad(&inner, 0x36);
    pad(&outer, 0x5c);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void nothing(void) {}

static void measure(const char *name, int ciphers, void (*authenticate)(void)) {
    double slices[SLICES];
    uint32_t n = 0;
    for (int slice = 0; slice < SLICES; slice++) {
        double begun = now();
        for (int i = 0; i < PACKETS; i++) {
            if (ciphers) encrypt(n++);
            authenticate();
        }
        slices[slice] = (now() - begun) / PACKETS;
    }
    qsort(slices, SLICES, sizeof *slices, ascending);
    printf("%s %.4f\n", name, slices[SLICES / 2]);
}

/* All ways must agree, or they do not do the same work. */
static void check(void) {
    uint8_t first[TAG];
    with_mac();
    memcpy(first, packet + PACKET + COUNTER, TAG);
    with_hmac();
    must(!memcmp(first, packet + PACKET + COUNTER, TAG));
    with_sha1();
    must(!memcmp(first, packet + PACKET + COUNTER, TAG));
}

int main(void) {
    keys();
    check();
    measure("EVP_MAC", 1, with_mac);
    measure("HMAC_CTX", 1, with_hmac);
    measure("SHA1", 1, with_sha1);
    measure("cipher-libcrypto", 1, nothing);
    measure("mac-libcrypto", 0, with_sha1);
    return 0;
}
