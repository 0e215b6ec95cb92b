/* Runs the network on images.
 *
 *     @usage@
 *
 * FILE: a .pgm picture (P5) of @width@x@height@ pixels, or raw images of @pixels@ bytes each@planes@. Without FILE, raw
 * images are read from standard input. @ground@
 * Prints one line per image: the class, a tab, and the probabilities@heads@.
 */
#include "@name@.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

@best@static int is_pgm(const char *name)
{
    const size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".pgm") == 0;
}

/* Reads the header "P5 width height 255" and its comments. Returns 0 if the header is different. */
static int skip_header(FILE *file)
{
    const int expected[3] = {@width@, @height@, 255};
    if (fgetc(file) != 'P' || fgetc(file) != '5')
        return 0;
    for (int i = 0; i < 3; i++) {
        int value, mark;
        while ((mark = fgetc(file)) == '#' || mark == ' ' || mark == '\n' || mark == '\r' || mark == '\t')
            if (mark == '#')
                while ((mark = fgetc(file)) != '\n' && mark != EOF)
                    continue;
        ungetc(mark, file);
        if (fscanf(file, "%d", &value) != 1 || value != expected[i])
            return 0;
    }
    return fgetc(file) != EOF;
}

static void print(const char *label, const float *probabilities, int count)
{
    printf("%s\t", label);
    for (int i = 0; i < count; i++)
        printf(i ? " %.9g" : "%.9g", (double)probabilities[i]);
}

int main(int argc, char **argv)
{
    static uint8_t image[@pixels@];
@variables@
    if (argc > @most@) {
        fprintf(stderr, "usage: @usage@\n");
        return 2;
    }
@number@
    const char *name = argc > @file@ ? argv[@file@] : NULL;
    FILE *file = name ? fopen(name, "rb") : stdin;
    if (!file) {
        perror(name);
        return 2;
    }
    if (name && is_pgm(name) && !skip_header(file)) {
        fprintf(stderr, "%s: not a P5 picture of @width@x@height@ pixels with 256 grey levels\n", name);
        return 2;
    }
    size_t got;
    while ((got = fread(image, 1, sizeof image, file)) == sizeof image) {
@ask@
        putchar('\n');
    }
    if (got) {
        fprintf(stderr, "%s: ends within an image, after %u of @pixels@ bytes\n", name ? name : "input", (unsigned)got);
        return 2;
    }
    return 0;
}
