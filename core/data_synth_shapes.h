/* How people write the ten digits: the points a pen passes, in a box 60 wide and 100 high, y downwards. */
#ifndef CR_CORE_DATA_SYNTH_SHAPES_H
#define CR_CORE_DATA_SYNTH_SHAPES_H

#include <stdint.h>

enum { CR_SHAPE_STYLES = 3, CR_SHAPE_POINTS = 16 };

/* THROUGH: the curve is smooth here. CORNER: it turns sharply. LIFT: the pen leaves the paper; each style ends so. */
enum cr_pen { CR_PEN_THROUGH, CR_PEN_CORNER, CR_PEN_LIFT };

struct cr_shape_point {
    int8_t x, y;
    uint8_t pen; /* enum cr_pen */
};

struct cr_shape_style {
    int points;
    struct cr_shape_point point[CR_SHAPE_POINTS];
};

extern const struct cr_shape_style cr_digit_shapes[10][CR_SHAPE_STYLES];

#endif
