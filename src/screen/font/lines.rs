//! Box drawing, The Unicode Standard, chart U+2500.
//!
//! Most of these characters are four arms that leave the centre of the cell, each absent, light, heavy or double; the
//! rest are dashes, arcs and diagonals. Where an arm leaves the cell depends on its weight and the cell's size only,
//! never on the character, and so any two neighbours join.

use super::drawn::Canvas;

/// The weights of the arms up, right, down, left for U+2500 to U+257F: 0 absent, 1 light, 2 heavy, 3 double. Zero
/// for those that are not made of arms.
#[rustfmt::skip]
const ARMS: [[u8; 4]; 128] = {
    const fn a(code: u16) -> [u8; 4] {
        let code = code.to_be_bytes();
        [code[0] >> 4, code[0] & 15, code[1] >> 4, code[1] & 15]
    }
    [
        a(0x0101), a(0x0202), a(0x1010), a(0x2020), a(0), a(0), a(0), a(0), // 2500
        a(0), a(0), a(0), a(0), a(0x0110), a(0x0210), a(0x0120), a(0x0220),
        a(0x0011), a(0x0012), a(0x0021), a(0x0022), a(0x1100), a(0x1200), a(0x2100), a(0x2200), // 2510
        a(0x1001), a(0x1002), a(0x2001), a(0x2002), a(0x1110), a(0x1210), a(0x2110), a(0x1120),
        a(0x2120), a(0x2210), a(0x1220), a(0x2220), a(0x1011), a(0x1012), a(0x2011), a(0x1021), // 2520
        a(0x2021), a(0x2012), a(0x1022), a(0x2022), a(0x0111), a(0x0112), a(0x0211), a(0x0212),
        a(0x0121), a(0x0122), a(0x0221), a(0x0222), a(0x1101), a(0x1102), a(0x1201), a(0x1202), // 2530
        a(0x2101), a(0x2102), a(0x2201), a(0x2202), a(0x1111), a(0x1112), a(0x1211), a(0x1212),
        a(0x2111), a(0x1121), a(0x2121), a(0x2112), a(0x2211), a(0x1122), a(0x1221), a(0x2212), // 2540
        a(0x1222), a(0x2122), a(0x2221), a(0x2222), a(0), a(0), a(0), a(0),
        a(0x0303), a(0x3030), a(0x0310), a(0x0130), a(0x0330), a(0x0013), a(0x0031), a(0x0033), // 2550
        a(0x1300), a(0x3100), a(0x3300), a(0x1003), a(0x3001), a(0x3003), a(0x1310), a(0x3130),
        a(0x3330), a(0x1013), a(0x3031), a(0x3033), a(0x0313), a(0x0131), a(0x0333), a(0x1303), // 2560
        a(0x3101), a(0x3303), a(0x1313), a(0x3131), a(0x3333), a(0), a(0), a(0),
        a(0), a(0), a(0), a(0), a(0x0001), a(0x1000), a(0x0100), a(0x0010), // 2570
        a(0x0002), a(0x2000), a(0x0200), a(0x0020), a(0x0201), a(0x1020), a(0x0102), a(0x2010),
    ]
};

const DOUBLE: u8 = 3;

/// Draws the character `code`, U+2500 to U+257F.
pub(super) fn draw(canvas: &mut Canvas, code: u32) {
    match code {
        0x2504..=0x250b => {
            let parts = if code < 0x2508 { 3 } else { 4 };
            dashes(canvas, parts, code & 2 != 0, code & 1 != 0);
        }
        0x254c..=0x254f => dashes(canvas, 2, code & 2 != 0, code & 1 != 0),
        0x256d => arc(canvas, 1, 1),
        0x256e => arc(canvas, -1, 1),
        0x256f => arc(canvas, -1, -1),
        0x2570 => arc(canvas, 1, -1),
        0x2571 => diagonal(canvas, true),
        0x2572 => diagonal(canvas, false),
        0x2573 => {
            diagonal(canvas, true);
            diagonal(canvas, false);
        }
        _ => {
            let weights = usize::try_from(code.saturating_sub(0x2500)).ok().and_then(|at| ARMS.get(at));
            if let Some(weights) = weights {
                arms(canvas, *weights);
            }
        }
    }
}

/// Thickness of a light line in pixels.
fn light(canvas: &Canvas) -> i32 {
    (canvas.width / 8).max(1)
}

/// The first and one past the last pixel of a line along the middle of `length`.
fn middle(length: i32, weight: u8, light: i32) -> (i32, i32) {
    let thickness = if weight == 2 { 2 * light } else { light };
    let start = (length - thickness) / 2;
    (start, start + thickness)
}

/// Draws four arms. Directions count clockwise from up; `(k + 2) % 4` is opposite, `(k + 1) % 4` and `(k + 3) % 4` are
/// the sides.
fn arms(canvas: &mut Canvas, weights: [u8; 4]) {
    let t = light(canvas);
    for (k, weight) in weights.into_iter().enumerate() {
        if weight == 0 {
            continue;
        }
        let vertical = k % 2 == 0;
        // Up and left grow from 0 to the middle, down and right from the middle to the edge.
        let from_edge = k == 0 || k == 3;
        let (along, across) =
            if vertical { (canvas.height, canvas.width) } else { (canvas.width, canvas.height) };
        let crossing = middle(along, 1, t);
        let opposite = weights[(k + 2) % 4];
        // The side with the smaller coordinate (left or up) first.
        let sides = if vertical { [weights[3], weights[1]] } else { [weights[0], weights[2]] };
        // The two strokes of a double line across our way: the one met first, and the other.
        let (near, far) = if from_edge {
            (shift(crossing, -t), shift(crossing, t))
        } else {
            (shift(crossing, t), shift(crossing, -t))
        };
        let mut stroke = |place: (i32, i32), stop: (i32, i32)| {
            let (start, end) = if from_edge { (0, stop.1) } else { (stop.0, along) };
            if vertical {
                canvas.fill(place.0, start, place.1, end);
            } else {
                canvas.fill(start, place.0, end, place.1);
            }
        };
        if weight == DOUBLE {
            let place = middle(across, 1, t);
            for (side, beyond, offset) in [(sides[0], sides[1], -t), (sides[1], sides[0], t)] {
                // A stroke turns into the double line at its own side, or ends a single one; with nothing at its side
                // it is the outer corner of what leaves at the other.
                let stop = match (side, beyond) {
                    (DOUBLE, _) => near,
                    (0, DOUBLE) => far,
                    _ => crossing,
                };
                stroke(shift(place, offset), stop);
            }
        } else {
            let doubles = sides.iter().filter(|side| **side == DOUBLE).count();
            let stop = match (opposite, doubles) {
                (0, 2) => near,
                (0, 1) => far,
                _ => middle(along, sides[0].max(sides[1]), t),
            };
            stroke(middle(across, weight, t), stop);
        }
    }
}

fn shift(place: (i32, i32), by: i32) -> (i32, i32) {
    (place.0 + by, place.1 + by)
}

/// A line along the middle in `parts` dashes, each followed by a gap.
fn dashes(canvas: &mut Canvas, parts: i32, vertical: bool, heavy: bool) {
    let t = light(canvas);
    let (along, across) =
        if vertical { (canvas.height, canvas.width) } else { (canvas.width, canvas.height) };
    let (low, high) = middle(across, if heavy { 2 } else { 1 }, t);
    for part in 0..parts {
        let (start, next) = (part * along / parts, (part + 1) * along / parts);
        let end = next - ((next - start) / 3).max(1);
        if vertical {
            canvas.fill(low, start, high, end);
        } else {
            canvas.fill(start, low, end, high);
        }
    }
}

/// A light quarter circle from the middle of the right (`dx` 1) or left (-1) edge to the middle of the lower (`dy` 1)
/// or upper (-1) edge.
fn arc(canvas: &mut Canvas, dx: i32, dy: i32) {
    let t = light(canvas);
    let (w, h) = (canvas.width, canvas.height);
    let ((left, right), (top, bottom)) = (middle(w, 1, t), middle(h, 1, t));
    let radius = w / 2 - t;
    // Twice the coordinates of the circle's centre, in which the middle of pixel x is at 2x + 1.
    let (centre_x, centre_y) = (left + right + 2 * dx * radius, top + bottom + 2 * dy * radius);
    let (inner, outer) = (2 * radius - t, 2 * radius + t);
    for y in 0..h {
        for x in 0..w {
            let (across, down) = (2 * x + 1 - centre_x, 2 * y + 1 - centre_y);
            // The quarter of the circle that faces the middle of the cell.
            let facing = across * dx <= 0 && down * dy <= 0;
            let distance = across * across + down * down;
            if facing && (inner * inner..=outer * outer).contains(&distance) {
                canvas.set(x, y);
            }
        }
    }
    let (beyond_x, beyond_y) = (centre_x / 2, centre_y / 2);
    if dx > 0 {
        canvas.fill(beyond_x, top, w, bottom)
    } else {
        canvas.fill(0, top, beyond_x + 1, bottom)
    }
    if dy > 0 { canvas.fill(left, beyond_y, right, h) } else { canvas.fill(left, 0, right, beyond_y + 1) }
}

/// A light line from corner to corner.
fn diagonal(canvas: &mut Canvas, rising: bool) {
    let t = light(canvas);
    let (w, h) = (canvas.width, canvas.height);
    for y in 0..h {
        let down = if rising { h - 1 - y } else { y };
        let x = w * (2 * down + 1) / (2 * h);
        canvas.fill(x - (t - 1) / 2, y, x + t / 2 + 1, y + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use crate::screen::font::drawn::pixel;

    const SIZES: [Size; 5] =
        [Size::new(6, 12), Size::new(8, 16), Size::new(10, 20), Size::new(12, 24), Size::new(16, 32)];

    fn drawn(code: u32, size: Size) -> Canvas {
        let mut canvas = Canvas::new(size);
        draw(&mut canvas, code);
        canvas
    }

    /// The pixels at the edge where arm `k` leaves the cell.
    fn edge(canvas: &Canvas, k: usize) -> Vec<bool> {
        let (w, h) = (canvas.width, canvas.height);
        match k {
            0 => (0..w).map(|x| pixel(canvas, x, 0)).collect(),
            1 => (0..h).map(|y| pixel(canvas, w - 1, y)).collect(),
            2 => (0..w).map(|x| pixel(canvas, x, h - 1)).collect(),
            _ => (0..h).map(|y| pixel(canvas, 0, y)).collect(),
        }
    }

    #[test]
    fn what_leaves_a_cell_depends_on_the_weight_of_the_arm_only() {
        // Straight lines through the whole cell: light, heavy, double; upright and level.
        const STRAIGHT: [[u32; 2]; 3] = [[0x2502, 0x2500], [0x2503, 0x2501], [0x2551, 0x2550]];
        for size in SIZES {
            for (code, weights) in (0x2500..).zip(ARMS).filter(|(_, weights)| *weights != [0; 4]) {
                let canvas = drawn(code, size);
                for (k, weight) in weights.into_iter().enumerate() {
                    let wanted = match weight {
                        0 => vec![false; edge(&canvas, k).len()],
                        _ => edge(&drawn(STRAIGHT[usize::from(weight) - 1][k % 2], size), k),
                    };
                    assert_eq!(edge(&canvas, k), wanted, "U+{code:04X} at {size:?}, arm {k}");
                }
            }
        }
    }

    #[test]
    fn arcs_join_light_lines() {
        for size in SIZES {
            for (arc, corner) in [(0x256d, 0x250c), (0x256e, 0x2510), (0x256f, 0x2518), (0x2570, 0x2514)] {
                for k in 0..4 {
                    assert_eq!(
                        edge(&drawn(arc, size), k),
                        edge(&drawn(corner, size), k),
                        "U+{arc:04X} {size:?} {k}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_ink_of_every_character_hangs_together_unless_it_is_dashed_or_double() {
        for size in SIZES {
            for (code, weights) in (0x2500..).zip(ARMS).filter(|(_, w)| *w != [0; 4] && !w.contains(&DOUBLE))
            {
                let canvas = drawn(code, size);
                let at = |x, y| {
                    (0..canvas.width).contains(&x) && (0..canvas.height).contains(&y) && pixel(&canvas, x, y)
                };
                let all: Vec<(i32, i32)> = (0..canvas.height)
                    .flat_map(|y| (0..canvas.width).map(move |x| (x, y)))
                    .filter(|(x, y)| at(*x, *y))
                    .collect();
                let mut reached = vec![all[0]];
                let mut next = 0;
                while let Some((x, y)) = reached.get(next).copied() {
                    for near in [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)] {
                        if at(near.0, near.1) && !reached.contains(&near) {
                            reached.push(near);
                        }
                    }
                    next += 1;
                }
                assert_eq!(reached.len(), all.len(), "U+{code:04X} {weights:?} at {size:?}");
            }
        }
    }
}
