/* Random bits that depend only on a key and a counter, so that a resumed training draws the same. */

INLINE ivec next(ivec x)
{
    x ^= x << 13;
    x ^= (ivec)((uvec)x >> 17);
    return x ^ x << 5;
}

INLINE uint32_t mixed(uint32_t x)       /* the last steps of MurmurHash3 (Appleby, 2011) */
{
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

/* The state of a generator for each lane. Each draws 16 bits for each of the VECTORS images of the lane. */
INLINE ivec started(uint32_t key, int stage, int place)
{
    const uint32_t seed = mixed(mixed(key + 0x9e3779b9u * (uint32_t)(stage + 1)) + (uint32_t)place);
    uvec x;
    for (int lane = 0; lane < LANES; lane++) x[lane] = seed + 0x9e3779b9u * (uint32_t)(lane + 1);
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return (ivec)((x ^ x >> 16) | 1);
}

/* Draw whether dropout keeps one value of each image. least: of 65536, below which it is dropped. */
INLINE Kept drawn(ivec *random, int least)
{
    *random = next(*random);
#if defined(__AVX512BW__)
    return _mm512_cmpge_epu16_mask((__m512i)*random, _mm512_set1_epi16((short)least));
#else
    return (Kept){{(*random & 65535) >= least, (ivec)((uvec)*random >> 16) >= least}};
#endif
}
