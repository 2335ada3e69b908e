/* Masks and headers of frames, as bytes (RFC 6455 section 5). */

#ifndef DJANGO_WEBSOCKET_FRAMES_H
#define DJANGO_WEBSOCKET_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* FIN and the opcode of a message in one frame (section 5.2). */
enum { WHOLE_TEXT = 0x81, WHOLE_BINARY = 0x82, MASKED = 0x80, MAX_SHORT = 125, MAX_HEADER = 10 };

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
/* The system chooses the widest vectors that the processor has. */
#define WIDEST __attribute__((target_clones("avx2", "default"), unused))
#else
#define WIDEST __attribute__((unused))
#endif

#if defined(__GNUC__)
/* Four words that one instruction handles where the processor can. */
typedef uint64_t Lanes __attribute__((vector_size(32)));
#else
typedef uint64_t Lanes;
#endif

/* XOR `size` bytes of `from` into `to`, which may be the same. Return whether a byte of the result is over 0x7f, so that
   a text is not ASCII (section 5.3). A memcpy of a fixed size becomes a load or a store, at any alignment. Arrays would
   be kept in memory, which takes twenty times as long as two variables in registers. */
WIDEST static int
xor_bytes(unsigned char *to, const unsigned char *from, ptrdiff_t size, const unsigned char *mask)
{
    Lanes key, one, two, seen = {0};
    uint64_t short_key, word, high = 0;
    ptrdiff_t index;

    for (index = 0; index < (ptrdiff_t)sizeof key; index += 4) {
        memcpy((unsigned char *)&key + index, mask, 4);
    }
    memcpy(&short_key, &key, sizeof short_key);
    for (index = 0; size - index >= 2 * (ptrdiff_t)sizeof key; index += 2 * sizeof key) {
        memcpy(&one, from + index, sizeof one);
        memcpy(&two, from + index + sizeof one, sizeof two);
        one ^= key;
        two ^= key;
        seen |= one | two;
        memcpy(to + index, &one, sizeof one);
        memcpy(to + index + sizeof one, &two, sizeof two);
    }
    for (; size - index >= 8; index += 8) {
        memcpy(&word, from + index, 8);
        word ^= short_key;
        high |= word;
        memcpy(to + index, &word, 8);
    }
    for (; index < size; index++) {
        to[index] = from[index] ^ mask[index & 3];
        high |= to[index];
    }
    for (index = 0; index < (ptrdiff_t)sizeof seen; index += 8) {
        memcpy(&word, (unsigned char *)&seen + index, 8);
        high |= word;
    }
    return (high & 0x8080808080808080u) != 0;
}

/* Return the size of the header of a masked frame that holds a whole message, and set the length of its payload. Return
   0 if the bytes do not hold the header, or hold another one, or an invalid one: the code in Python knows why. */
static inline int
read_header(const unsigned char *at, ptrdiff_t left, ptrdiff_t *length)
{
    uint64_t number = 0;

    if (left < 6 || (at[0] != WHOLE_TEXT && at[0] != WHOLE_BINARY) || at[1] < MASKED) {
        return 0;
    }
    *length = at[1] - MASKED;
    if (*length <= MAX_SHORT) {
        return 6;
    }
    if (*length == 126) {
        *length = at[2] << 8 | at[3];
        return left < 8 || *length <= MAX_SHORT ? 0 : 8;
    }
    for (int index = 2; index < 10 && left >= 14; index++) {
        number = number << 8 | at[index];
    }
    *length = (ptrdiff_t)number;
    return number <= UINT16_MAX || number > PTRDIFF_MAX - 14 ? 0 : 14;
}

/* Write the header of a frame that is not masked, and return its size. */
static inline int
write_header(unsigned char *header, int first, ptrdiff_t length)
{
    int size = length <= MAX_SHORT ? 2 : length <= UINT16_MAX ? 4 : MAX_HEADER;

    header[0] = (unsigned char)first;
    header[1] = (unsigned char)(size == 2 ? length : size == 4 ? 126 : 127);
    for (int index = size - 1; index > 1; index--, length >>= 8) {
        header[index] = (unsigned char)length;
    }
    return size;
}

#endif
