"""Warp kernels: draw, interpolate, antialias, and their adjoints. See ``kernels`` for the geometry; it is the same.

The adjoints are written by hand, so Warp's own are left out. Products and sums are not fused: an edge's coordinate must
be exactly minus that in the neighbouring triangle.
"""

# Annotations and arithmetic here are Warp's language, which only looks like Python's.
# pyright: reportInvalidTypeForm=false, reportIndexIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAssignmentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# pyright: reportAttributeAccessIssue=false

import warp as wp

from kiss3d_backend.mesh.raster.fragments import DEPTH_STEPS, WALK

wp.config.log_level = wp.LOG_WARNING
wp.init()
wp.set_module_options({"enable_backward": False, "fuse_fp": False, "fast_math": False})

NOTHING = wp.constant(wp.int64(2**63 - 1))
GROUPS = 256
LANES = 256
_LARGE = wp.constant(1024)
_LANES = wp.constant(LANES)
_GROUPS = wp.constant(GROUPS)
_WALK = wp.constant(WALK)
_SLACK = wp.constant(wp.float64(0.01))
_TINY = wp.constant(wp.float64(1e-12))
_NEAREST = wp.constant(wp.float64(1e-9))
_FAR = wp.constant(wp.float64(1e9))
_STEPS = wp.constant(wp.float64(DEPTH_STEPS))
_HIGHEST = wp.constant(wp.int64(2 * DEPTH_STEPS - 1))
_LOW_BITS = wp.constant(wp.int64(0xFFFFFFFF))
_NOWHERE = wp.constant(wp.float64(-1.0))
_0 = wp.constant(wp.float64(0.0))
_HALF = wp.constant(wp.float64(0.5))
_1 = wp.constant(wp.float64(1.0))
_2 = wp.constant(wp.float64(2.0))


@wp.func
def _plane(clip: wp.array3d(dtype=wp.float32), view: int, vertex: int):
    """(x, y, w) of a vertex."""
    return wp.vec3d(
        wp.float64(clip[view, vertex, 0]), wp.float64(clip[view, vertex, 1]), wp.float64(clip[view, vertex, 3])
    )


@wp.func
def _line(a: wp.vec3d, b: wp.vec3d):
    return wp.vec3d(a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


@wp.func
def _scaled(a: wp.vec3d, b: wp.vec3d, height: int, width: int):
    """A line in units of half a pixel."""
    line = _line(a, b)
    return wp.vec3d(line[0] / wp.float64(width), line[1] / wp.float64(height), line[2])


@wp.func
def _coordinate(line: wp.vec3d, row: int, column: int, height: int, width: int):
    x = wp.float64(2 * column + 1 - width)
    y = wp.float64(height - 1 - 2 * row)
    return line[0] * x + (line[1] * y + line[2])


@wp.func
def _coordinates(a: wp.vec3d, b: wp.vec3d, c: wp.vec3d, row: int, column: int, height: int, width: int):
    """s of the three corners at a pixel."""
    return wp.vec3d(
        _coordinate(_scaled(b, c, height, width), row, column, height, width),
        _coordinate(_scaled(c, a, height, width), row, column, height, width),
        _coordinate(_scaled(a, b, height, width), row, column, height, width),
    )


@wp.func
def _bounds(a: wp.vec3d, b: wp.vec3d, c: wp.vec3d, height: int, width: int):
    """Least and greatest column, least and greatest row of the part in front of the camera, as one vector."""
    result = wp.vec4d(_FAR, -_FAR, _FAR, -_FAR)
    nearest = _TINY
    if not (a[2] > _TINY and b[2] > _TINY and c[2] > _TINY):
        nearest = _NEAREST * wp.max(wp.max(wp.abs(a[2]), wp.abs(b[2])), wp.abs(c[2]))
    for corner in range(3):
        p = a
        q = b
        if corner == 1:
            p = b
            q = c
        if corner == 2:
            p = c
            q = a
        if nearest > _0 and p[2] >= nearest:
            result = _widened(result, p, height, width)
        if nearest > _0 and (p[2] >= nearest) != (q[2] >= nearest):
            t = (nearest - p[2]) / (q[2] - p[2])
            cut = wp.vec3d(p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1]), nearest)
            result = _widened(result, cut, height, width)
    return result


@wp.func
def _widened(bounds: wp.vec4d, p: wp.vec3d, height: int, width: int):
    column = wp.clamp((p[0] / p[2] + _1) * _HALF * wp.float64(width) - _HALF, -_FAR, _FAR)
    row = wp.clamp((_1 - p[1] / p[2]) * _HALF * wp.float64(height) - _HALF, -_FAR, _FAR)
    return wp.vec4d(
        wp.min(bounds[0], column), wp.max(bounds[1], column), wp.min(bounds[2], row), wp.max(bounds[3], row)
    )


@wp.func
def _pixels(bounds: wp.vec4d, height: int, width: int):
    """First column, last column, first row, last row."""
    return wp.vec4i(
        wp.max(0, int(wp.ceil(wp.clamp(bounds[0], -_1, wp.float64(width)) - _SLACK))),
        wp.min(width - 1, int(wp.floor(wp.clamp(bounds[1], -_1, wp.float64(width)) + _SLACK))),
        wp.max(0, int(wp.ceil(wp.clamp(bounds[2], -_1, wp.float64(height)) - _SLACK))),
        wp.min(height - 1, int(wp.floor(wp.clamp(bounds[3], -_1, wp.float64(height)) + _SLACK))),
    )


@wp.func
def _depth(s: wp.vec3d, z: wp.vec3d, w: wp.vec3d):
    """z / w at the point with these coordinates; 2, which is outside, where nothing is or behind the camera."""
    total = s[0] + s[1] + s[2]
    away = s[0] * w[0] + s[1] * w[1] + s[2] * w[2]
    if total == _0 or (away > _0) != (total > _0):
        return _2
    return (s[0] * z[0] + s[1] * z[1] + s[2] * z[2]) / away


@wp.func
def _draw_pixel(
    keys: wp.array3d(dtype=wp.int64),
    view: int,
    triangle: int,
    row: int,
    column: int,
    s: wp.vec3d,
    z: wp.vec3d,
    w: wp.vec3d,
):
    if (s[0] >= _0 and s[1] >= _0 and s[2] >= _0) or (s[0] <= _0 and s[1] <= _0 and s[2] <= _0):
        depth = _depth(s, z, w)
        if wp.abs(depth) <= _1:
            step = wp.min(wp.int64((depth + _1) * _STEPS), _HIGHEST)
            wp.atomic_min(keys, view, row, column, (step << wp.int64(32)) | wp.int64(triangle))


@wp.func
def _depths(clip: wp.array3d(dtype=wp.float32), view: int, i: int, j: int, k: int):
    return wp.vec3d(wp.float64(clip[view, i, 2]), wp.float64(clip[view, j, 2]), wp.float64(clip[view, k, 2]))


@wp.kernel
def draw(
    clip: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    keys: wp.array3d(dtype=wp.int64),
    large: wp.array(dtype=wp.int64),
    large_count: wp.array(dtype=wp.int32),
):
    """One thread for each triangle in each view; those with many pixels are put on a list instead."""
    view, triangle = wp.tid()
    height = keys.shape[1]
    width = keys.shape[2]
    i = triangles[triangle, 0]
    j = triangles[triangle, 1]
    k = triangles[triangle, 2]
    a = _plane(clip, view, i)
    b = _plane(clip, view, j)
    c = _plane(clip, view, k)
    line = _line(a, b)
    if not wp.isfinite(line[0] * c[0] + line[1] * c[1] + line[2] * c[2]):
        return
    box = _pixels(_bounds(a, b, c, height, width), height, width)
    if box[0] > box[1] or box[2] > box[3]:
        return
    if (box[1] - box[0] + 1) * (box[3] - box[2] + 1) > _LARGE:
        slot = wp.atomic_add(large_count, 0, 1)
        large[slot] = (wp.int64(view) << wp.int64(32)) | wp.int64(triangle)
        return
    e0 = _scaled(b, c, height, width)
    e1 = _scaled(c, a, height, width)
    e2 = _scaled(a, b, height, width)
    z = _depths(clip, view, i, j, k)
    w = wp.vec3d(a[2], b[2], c[2])
    for row in range(box[2], box[3] + 1):
        for column in range(box[0], box[1] + 1):
            s = wp.vec3d(
                _coordinate(e0, row, column, height, width),
                _coordinate(e1, row, column, height, width),
                _coordinate(e2, row, column, height, width),
            )
            _draw_pixel(keys, view, triangle, row, column, s, z, w)


@wp.kernel
def draw_large(
    clip: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    large: wp.array(dtype=wp.int64),
    large_count: wp.array(dtype=wp.int32),
    keys: wp.array3d(dtype=wp.int64),
):
    """GROUPS x LANES threads: a group takes every GROUPS-th triangle of the list, and its lanes share the pixels."""
    group, lane = wp.tid()
    height = keys.shape[1]
    width = keys.shape[2]
    item = int(group)
    while item < large_count[0]:
        view = int(large[item] >> wp.int64(32))
        triangle = int(large[item] & _LOW_BITS)
        i = triangles[triangle, 0]
        j = triangles[triangle, 1]
        k = triangles[triangle, 2]
        a = _plane(clip, view, i)
        b = _plane(clip, view, j)
        c = _plane(clip, view, k)
        box = _pixels(_bounds(a, b, c, height, width), height, width)
        e0 = _scaled(b, c, height, width)
        e1 = _scaled(c, a, height, width)
        e2 = _scaled(a, b, height, width)
        z = _depths(clip, view, i, j, k)
        w = wp.vec3d(a[2], b[2], c[2])
        columns = box[1] - box[0] + 1
        area = columns * (box[3] - box[2] + 1)
        pixel = int(lane)
        while pixel < area:
            row = box[2] + pixel / columns
            column = box[0] + pixel % columns
            s = wp.vec3d(
                _coordinate(e0, row, column, height, width),
                _coordinate(e1, row, column, height, width),
                _coordinate(e2, row, column, height, width),
            )
            _draw_pixel(keys, view, triangle, row, column, s, z, w)
            pixel = pixel + _LANES
        item = item + _GROUPS


@wp.kernel
def resolve(
    clip: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    keys: wp.array3d(dtype=wp.int64),
    triangle: wp.array3d(dtype=wp.int32),
    barycentric: wp.array4d(dtype=wp.float32),
    depth: wp.array3d(dtype=wp.float32),
):
    view, row, column = wp.tid()
    height = keys.shape[1]
    width = keys.shape[2]
    key = keys[view, row, column]
    if key == NOTHING:
        triangle[view, row, column] = -1
        depth[view, row, column] = 1.0
        for corner in range(3):
            barycentric[view, row, column, corner] = 0.0
        return
    index = int(key & _LOW_BITS)
    i = triangles[index, 0]
    j = triangles[index, 1]
    k = triangles[index, 2]
    a = _plane(clip, view, i)
    b = _plane(clip, view, j)
    c = _plane(clip, view, k)
    s = _coordinates(a, b, c, row, column, height, width)
    total = s[0] + s[1] + s[2]
    triangle[view, row, column] = index
    depth[view, row, column] = wp.float32(_depth(s, _depths(clip, view, i, j, k), wp.vec3d(a[2], b[2], c[2])))
    for corner in range(3):
        barycentric[view, row, column, corner] = wp.float32(s[corner] / total)


@wp.kernel
def interpolate(
    attributes: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    triangle: wp.array3d(dtype=wp.int32),
    barycentric: wp.array4d(dtype=wp.float32),
    out: wp.array4d(dtype=wp.float32),
):
    view, row, column = wp.tid()
    index = triangle[view, row, column]
    values = wp.min(view, attributes.shape[0] - 1)
    for channel in range(out.shape[3]):
        value = 0.0
        if index >= 0:
            for corner in range(3):
                share = barycentric[view, row, column, corner]
                value = value + share * attributes[values, triangles[index, corner], channel]
        out[view, row, column, channel] = value


@wp.kernel
def interpolate_adjoint(
    attributes: wp.array3d(dtype=wp.float32),
    clip: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    triangle: wp.array3d(dtype=wp.int32),
    barycentric: wp.array4d(dtype=wp.float32),
    grad: wp.array4d(dtype=wp.float32),
    wants_attributes: wp.bool,
    wants_clip: wp.bool,
    grad_attributes: wp.array3d(dtype=wp.float32),
    grad_clip: wp.array3d(dtype=wp.float32),
):
    """Adds to ``grad_attributes`` (1 or N, V, C) and ``grad_clip`` (N, V, 4), those that are wanted."""
    view, row, column = wp.tid()
    index = triangle[view, row, column]
    if index < 0:
        return
    values = wp.min(view, attributes.shape[0] - 1)
    h = wp.vec3d()
    for channel in range(grad.shape[3]):
        g = grad[view, row, column, channel]
        if g != 0.0:
            for corner in range(3):
                vertex = triangles[index, corner]
                h[corner] = h[corner] + wp.float64(g) * wp.float64(attributes[values, vertex, channel])
                if wants_attributes:
                    wp.atomic_add(grad_attributes, values, vertex, channel, barycentric[view, row, column, corner] * g)
    if not wants_clip:
        return
    share = wp.vec3d(
        wp.float64(barycentric[view, row, column, 0]),
        wp.float64(barycentric[view, row, column, 1]),
        wp.float64(barycentric[view, row, column, 2]),
    )
    mean = wp.dot(share, h)
    a = _plane(clip, view, triangles[index, 0])
    b = _plane(clip, view, triangles[index, 1])
    c = _plane(clip, view, triangles[index, 2])
    e0 = _line(b, c)
    det = wp.dot(e0, a)
    if det == _0:
        return
    q = (e0 * (h[0] - mean) + _line(c, a) * (h[1] - mean) + _line(a, b) * (h[2] - mean)) / det
    for corner in range(3):
        _add(grad_clip, view, triangles[index, corner], -share[corner] * q)


@wp.func
def _add(grad_clip: wp.array3d(dtype=wp.float32), view: int, vertex: int, change: wp.vec3d):
    wp.atomic_add(grad_clip, view, vertex, 0, wp.float32(change[0]))
    wp.atomic_add(grad_clip, view, vertex, 1, wp.float32(change[1]))
    wp.atomic_add(grad_clip, view, vertex, 3, wp.float32(change[2]))


@wp.func
def _crossing(a: wp.vec3d, b: wp.vec3d, point: wp.vec3d, way: wp.vec3d):
    line = _line(a, b)
    return -wp.dot(line, point) / (line[0] * way[0] + line[1] * way[1])


@wp.func
def _silhouette(
    clip: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    adjacency: wp.array2d(dtype=wp.int32),
    view: int,
    near: int,
    far: int,
    point: wp.vec3d,
    way: wp.vec3d,
):
    """Where (0 to 1) and at which edge the surface of triangle ``near`` ends on its way; -1 when it does not."""
    scan = _line(point, way)
    share = _NOWHERE
    edge = -1
    for side in range(3):
        p = _plane(clip, view, triangles[near, side])
        q = _plane(clip, view, triangles[near, (side + 1) % 3])
        if not p[2] > _0:
            return _NOWHERE, 0, 0
        if (wp.dot(scan, p) >= _0) != (wp.dot(scan, q) >= _0):
            at = _crossing(p, q, point, way)
            if edge < 0 or at > share:
                share = at
                edge = side
    if edge < 0 or not wp.isfinite(share):
        return _NOWHERE, 0, 0
    a = triangles[near, edge]
    b = triangles[near, (edge + 1) % 3]
    c = triangles[near, (edge + 2) % 3]
    current = int(near)
    for _step in range(_WALK):
        if not share <= _1:
            return _NOWHERE, 0, 0
        following = adjacency[current, edge]
        if following < 0 or following >= triangles.shape[0]:
            return share, a, b
        new = -1
        for corner in range(3):
            vertex = triangles[following, corner]
            if new < 0 and vertex != a and vertex != b:
                new = vertex
        if new < 0:
            return _NOWHERE, 0, 0
        pa = _plane(clip, view, a)
        pb = _plane(clip, view, b)
        pn = _plane(clip, view, new)
        if not pn[2] > _0:
            return _NOWHERE, 0, 0
        line = _line(pa, pb)
        if wp.dot(line, _plane(clip, view, c)) * wp.dot(line, pn) > _0:
            return share, a, b
        if following == far:
            return _NOWHERE, 0, 0
        if (wp.dot(scan, pn) >= _0) == (wp.dot(scan, pa) >= _0):
            c = a
            a = new
        else:
            c = b
            b = new
        share = _crossing(_plane(clip, view, a), _plane(clip, view, b), point, way)
        current = following
        for side in range(3):
            i = triangles[following, side]
            j = triangles[following, (side + 1) % 3]
            if (i == a and j == b) or (i == b and j == a):
                edge = side
    return _NOWHERE, 0, 0


@wp.func
def _is_steep(clip: wp.array3d(dtype=wp.float32), view: int, i: int, j: int, height: int, width: int):
    """Whether an edge is closer to a column of pixels than to a row."""
    line = _scaled(_plane(clip, view, i), _plane(clip, view, j), height, width)
    return wp.abs(line[0]) >= wp.abs(line[1])


@wp.func
def _first_is_behind(
    triangle: wp.array3d(dtype=wp.int32),
    depth: wp.array3d(dtype=wp.float32),
    view: int,
    row: int,
    column: int,
    other_row: int,
    other_column: int,
):
    if triangle[view, row, column] < 0:
        return True
    if triangle[view, other_row, other_column] < 0:
        return False
    return depth[view, other_row, other_column] < depth[view, row, column]


@wp.func
def _centre(row: int, column: int, height: int, width: int):
    return wp.vec3d(
        wp.float64(2 * column + 1) / wp.float64(width) - _1, _1 - wp.float64(2 * row + 1) / wp.float64(height), _1
    )


@wp.func
def _way(rows: int, columns: int, height: int, width: int):
    return wp.vec3d(_2 * wp.float64(columns) / wp.float64(width), -_2 * wp.float64(rows) / wp.float64(height), _0)


@wp.kernel
def antialias(
    image: wp.array4d(dtype=wp.float32),
    clip: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    adjacency: wp.array2d(dtype=wp.int32),
    triangle: wp.array3d(dtype=wp.int32),
    depth: wp.array3d(dtype=wp.float32),
    out: wp.array4d(dtype=wp.float32),
):
    """Adds to ``out``, a copy of ``image``. The last index of a thread: 0 looks to the right, 1 looks down."""
    view, first_row, first_column, down = wp.tid()
    height = triangle.shape[1]
    width = triangle.shape[2]
    row = int(first_row)
    column = int(first_column)
    other_row = int(first_row + down)
    other_column = int(first_column + 1 - down)
    if other_row >= height or other_column >= width:
        return
    if triangle[view, row, column] == triangle[view, other_row, other_column]:
        return
    if _first_is_behind(triangle, depth, view, row, column, other_row, other_column):
        row = int(first_row + down)
        column = int(first_column + 1 - down)
        other_row = int(first_row)
        other_column = int(first_column)
    point = _centre(row, column, height, width)
    way = _way(other_row - row, other_column - column, height, width)
    near = triangle[view, row, column]
    far = triangle[view, other_row, other_column]
    share, a, b = _silhouette(clip, triangles, adjacency, view, near, far, point, way)
    if share < _0 or _is_steep(clip, view, a, b, height, width) == (down == 1):
        return
    part = wp.float32(share - _HALF)
    for channel in range(image.shape[3]):
        change = part * (image[view, row, column, channel] - image[view, other_row, other_column, channel])
        if part > 0.0:
            wp.atomic_add(out, view, other_row, other_column, channel, change)
        else:
            wp.atomic_add(out, view, row, column, channel, change)


@wp.kernel
def antialias_adjoint(
    image: wp.array4d(dtype=wp.float32),
    clip: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    adjacency: wp.array2d(dtype=wp.int32),
    triangle: wp.array3d(dtype=wp.int32),
    depth: wp.array3d(dtype=wp.float32),
    grad: wp.array4d(dtype=wp.float32),
    wants_image: wp.bool,
    wants_clip: wp.bool,
    grad_image: wp.array4d(dtype=wp.float32),
    grad_clip: wp.array3d(dtype=wp.float32),
):
    """Adds to ``grad_image``, a copy of ``grad``, and to ``grad_clip`` (N, V, 4), those that are wanted."""
    view, first_row, first_column, down = wp.tid()
    height = triangle.shape[1]
    width = triangle.shape[2]
    row = int(first_row)
    column = int(first_column)
    other_row = int(first_row + down)
    other_column = int(first_column + 1 - down)
    if other_row >= height or other_column >= width:
        return
    if triangle[view, row, column] == triangle[view, other_row, other_column]:
        return
    if _first_is_behind(triangle, depth, view, row, column, other_row, other_column):
        row = int(first_row + down)
        column = int(first_column + 1 - down)
        other_row = int(first_row)
        other_column = int(first_column)
    point = _centre(row, column, height, width)
    way = _way(other_row - row, other_column - column, height, width)
    near = triangle[view, row, column]
    far = triangle[view, other_row, other_column]
    share, a, b = _silhouette(clip, triangles, adjacency, view, near, far, point, way)
    if share < _0 or _is_steep(clip, view, a, b, height, width) == (down == 1):
        return
    part = wp.float32(share - _HALF)
    slope = wp.float64(0.0)
    for channel in range(image.shape[3]):
        g = grad[view, row, column, channel]
        if part > 0.0:
            g = grad[view, other_row, other_column, channel]
        difference = image[view, row, column, channel] - image[view, other_row, other_column, channel]
        slope = slope + wp.float64(g) * wp.float64(difference)
        if wants_image:
            wp.atomic_add(grad_image, view, row, column, channel, part * g)
            wp.atomic_add(grad_image, view, other_row, other_column, channel, -part * g)
    if wants_clip and slope != _0:
        pa = _plane(clip, view, a)
        pb = _plane(clip, view, b)
        line = _line(pa, pb)
        cut = point + share * way
        factor = -slope / (line[0] * way[0] + line[1] * way[1])
        _add(grad_clip, view, a, factor * _line(pb, cut))
        _add(grad_clip, view, b, -factor * _line(pa, cut))
