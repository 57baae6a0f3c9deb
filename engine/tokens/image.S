// SPDX-License-Identifier: MIT
// image.S: puts the image of the vocabularies (image.h) into the binary.
#ifdef __CET__
#include <cet.h>
#endif
    .section .rodata
    .balign 64
    .globl encodings_image
    .hidden encodings_image
    .type encodings_image, %object
encodings_image:
    .incbin "encodings.img"
    .size encodings_image, . - encodings_image
    .section .note.GNU-stack, "", %progbits
