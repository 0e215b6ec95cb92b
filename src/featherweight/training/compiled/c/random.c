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

/* The state of 16 bits times VECTORS generators: one for each image of a slice. */
INLINE ivec started(uint32_t key, int stage, int place)
{
    const uint32_t seed = mixed(mixed(key + 0x9e3779b9u * (uint32_t)(stage + 1)) + (uint32_t)place);
    uvec x;
    for (int lane = 0; lane < LANES; lane++) x[lane] = seed + 0x9e3779b9u * (uint32_t)(lane + 1);
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return (ivec)((x ^ x >> 16) | 1);
}
