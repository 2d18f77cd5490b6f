"""Numba kernels of the baking."""

from __future__ import annotations

import numpy as np

from kiss3d_backend.mesh.compiled import compiled


@compiled
def nearest_points(points, normals, reach, mesh, grid, triangle, weights):
    """For points (P, 3) their nearest triangles (P,), -1 where there is none, and barycentric coordinates (P, 3).

    ``mesh``, ``grid``: of :class:`NearestPoints`.
    """
    face = np.int32(-1)
    for item in range(len(points)):
        face, u, v = _nearest(points[item], normals[item], reach, mesh, grid, face)
        triangle[item] = face
        if face >= 0:
            weights[item, 0], weights[item, 1], weights[item, 2] = 1.0 - u - v, u, v


@compiled
def _nearest(point, normal, reach, mesh, grid, guess):
    """The triangle, and the weights of its second and third corner. ``guess``: one that may be near, or -1.

    Cells around the point are searched in growing shells until none can hold anything nearer. Most triangles are ruled
    out by their balls.
    """
    corners, facing, balls = mesh
    origin, cell, shape, begins, faces = grid
    px, py, pz = np.float64(point[0]), np.float64(point[1]), np.float64(point[2])
    nx, ny, nz = np.float64(normal[0]), np.float64(normal[1]), np.float64(normal[2])
    gx, gy, gz = (px - origin[0]) / cell, (py - origin[1]) / cell, (pz - origin[2]) / cell
    cx, cy, cz = int(np.floor(gx)), int(np.floor(gy)), int(np.floor(gz))
    best, best_distance = reach * reach, reach
    found, best_u, best_v = np.int32(-1), 0.0, 0.0
    if guess >= 0 and facing[guess, 0] * nx + facing[guess, 1] * ny + facing[guess, 2] * nz > 0.0:
        squared, u, v = _nearest_in_triangle(corners[guess], px, py, pz)
        if squared < best:
            best, best_distance = squared, np.sqrt(squared)
            found, best_u, best_v = np.int32(guess), u, v
    shell = 0
    # Everything closer than this has been looked at once the shells before this one are done.
    margin = min(gx - cx, cx + 1 - gx, gy - cy, cy + 1 - gy, gz - cz, cz + 1 - gz)
    while shell == 0 or ((shell - 1 + margin) * cell) ** 2 < best:
        for x in range(max(cx - shell, 0), min(cx + shell, shape[0] - 1) + 1):
            dx = max(x - gx, gx - x - 1.0, 0.0) * cell
            if dx * dx >= best:
                continue
            for y in range(max(cy - shell, 0), min(cy + shell, shape[1] - 1) + 1):
                dy = max(y - gy, gy - y - 1.0, 0.0) * cell
                if dx * dx + dy * dy >= best:
                    continue
                inner = abs(x - cx) < shell and abs(y - cy) < shell
                step = 2 * shell if inner and shell > 0 else 1
                for z in range(cz - shell, cz + shell + 1, step):
                    if z < 0 or z >= shape[2]:
                        continue
                    dz = max(z - gz, gz - z - 1.0, 0.0) * cell
                    if dx * dx + dy * dy + dz * dz >= best:
                        continue
                    place = (x * shape[1] + y) * shape[2] + z
                    for entry in range(begins[place], begins[place + 1]):
                        face = faces[entry]
                        bx, by, bz = px - balls[face, 0], py - balls[face, 1], pz - balls[face, 2]
                        far = bx * bx + by * by + bz * bz
                        if far > (best_distance + balls[face, 3]) ** 2:
                            continue
                        if facing[face, 0] * nx + facing[face, 1] * ny + facing[face, 2] * nz <= 0.0:
                            continue
                        squared, u, v = _nearest_in_triangle(corners[face], px, py, pz)
                        if squared < best:
                            best, best_distance = squared, np.sqrt(squared)
                            found, best_u, best_v = face, u, v
        shell += 1
    return found, best_u, best_v


@compiled
def normal_texels(texels, corners, values, reach, mesh, grid, fine_triangles, fine_normals, pixels):
    """Writes the normals of the nearest points of the fine mesh to ``pixels`` (side x side, 3) uint8.

    ``texels``: arrays of the pixels (P,), the triangle (P,) and the barycentric coordinates (P, 3) of each.
    ``corners``: (T, 3) into ``values`` (M, 10): position, normal, tangent and the sign of the bitangent. ``mesh``,
    ``grid``: of :class:`NearestPoints`, of the mesh of ``fine_triangles`` with ``fine_normals``.
    """
    pixel, triangle, barycentric = texels
    here = np.empty(9, np.float32)
    face = np.int32(-1)
    for item in range(len(pixel)):
        i, j, k = corners[triangle[item], 0], corners[triangle[item], 1], corners[triangle[item], 2]
        for column in range(9):
            here[column] = (
                values[i, column] * barycentric[item, 0]
                + values[j, column] * barycentric[item, 1]
                + values[k, column] * barycentric[item, 2]
            )
        sign = (
            values[i, 9] * barycentric[item, 0]
            + values[j, 9] * barycentric[item, 1]
            + values[k, 9] * barycentric[item, 2]
        )
        face, u, v = _nearest(here[:3], here[3:6], reach, mesh, grid, face)
        if face < 0:
            continue
        a, b, c = fine_triangles[face, 0], fine_triangles[face, 1], fine_triangles[face, 2]
        w = 1.0 - u - v
        x = w * fine_normals[a, 0] + u * fine_normals[b, 0] + v * fine_normals[c, 0]
        y = w * fine_normals[a, 1] + u * fine_normals[b, 1] + v * fine_normals[c, 1]
        z = w * fine_normals[a, 2] + u * fine_normals[b, 2] + v * fine_normals[c, 2]
        local = _in_frame((x, y, z), (here[3], here[4], here[5]), (here[6], here[7], here[8]), sign)
        for axis in range(3):
            pixels[pixel[item], axis] = np.uint8(local[axis] * 127.5 + 128.0)


@compiled
def _in_frame(vector, normal, tangent, sign):
    """The unit vector of (x, y, z) with x tangent + y bitangent + z normal along ``vector``; z is not negative."""
    across = _cross(normal, tangent)
    side = np.sign(sign)
    bitangent = across[0] * side, across[1] * side, across[2] * side
    first = _cross(bitangent, normal)
    last = _cross(tangent, bitangent)
    turn = -1.0 if _dot(tangent, first) < 0.0 else 1.0
    x, y, z = turn * _dot(vector, first), turn * _dot(vector, across), max(turn * _dot(vector, last), 0.0)
    length = np.sqrt(x * x + y * y + z * z)
    # A fine mesh that is folded there tells nothing: its normals look inwards, or cancel.
    if length < 1e-12:
        return 0.0, 0.0, 1.0
    return x / length, y / length, z / length


@compiled
def _cross(a, b):
    ax, ay, az = np.float64(a[0]), np.float64(a[1]), np.float64(a[2])
    return ay * b[2] - az * b[1], az * b[0] - ax * b[2], ax * b[1] - ay * b[0]


@compiled
def _dot(a, b):
    return np.float64(a[0]) * b[0] + np.float64(a[1]) * b[1] + np.float64(a[2]) * b[2]


@compiled
def _nearest_in_triangle(corners, px, py, pz):
    """The squared distance, and the weights of the second and third corner at the nearest point."""
    ax, ay, az = np.float64(corners[0, 0]), np.float64(corners[0, 1]), np.float64(corners[0, 2])
    bx, by, bz = corners[1, 0] - ax, corners[1, 1] - ay, corners[1, 2] - az
    cx, cy, cz = corners[2, 0] - ax, corners[2, 1] - ay, corners[2, 2] - az
    x, y, z = px - ax, py - ay, pz - az
    bb, bc, cc = bx * bx + by * by + bz * bz, bx * cx + by * cy + bz * cz, cx * cx + cy * cy + cz * cz
    bp, cp = bx * x + by * y + bz * z, cx * x + cy * y + cz * z
    area = bb * cc - bc * bc
    u, v = 0.0, 0.0
    inside = False
    if area > 1e-30:
        u = (cc * bp - bc * cp) / area
        v = (bb * cp - bc * bp) / area
        inside = u >= 0.0 and v >= 0.0 and u + v <= 1.0
    if not inside:
        # The nearest of the three edges.
        least = np.inf
        for edge in range(3):
            if edge == 0:
                s = min(max(bp / bb if bb > 0 else 0.0, 0.0), 1.0)
                tu, tv = s, 0.0
            elif edge == 1:
                s = min(max(cp / cc if cc > 0 else 0.0, 0.0), 1.0)
                tu, tv = 0.0, s
            else:
                length = bb - 2.0 * bc + cc
                s = min(max((bb - bc + cp - bp) / length if length > 0 else 0.0, 0.0), 1.0)
                tu, tv = 1.0 - s, s
            dx, dy, dz = x - tu * bx - tv * cx, y - tu * by - tv * cy, z - tu * bz - tv * cz
            squared = dx * dx + dy * dy + dz * dz
            if squared < least:
                least, u, v = squared, tu, tv
    dx, dy, dz = x - u * bx - v * cx, y - u * by - v * cy, z - u * bz - v * cz
    return dx * dx + dy * dy + dz * dz, u, v


@compiled
def mix_corners(values, triangles, triangle, barycentric, mixed):
    """``values`` (V, C) at points (P,) in ``triangles`` (T, 3), to ``mixed`` (P, C)."""
    for item in range(len(triangle)):
        face = triangle[item]
        i, j, k = triangles[face, 0], triangles[face, 1], triangles[face, 2]
        a, b, c = barycentric[item, 0], barycentric[item, 1], barycentric[item, 2]
        for column in range(values.shape[1]):
            mixed[item, column] = values[i, column] * a + values[j, column] * b + values[k, column] * c


@compiled
def nearest_pixels(covered, label, source):
    """Of each ``label`` (P,) of a ``covered`` (P,) pixel, that pixel, to ``source``."""
    for pixel in range(len(covered)):
        if covered[pixel]:
            source[label[pixel]] = pixel


@compiled
def copy_pixels(pixels, label, source, padded):
    """To ``padded`` (P, C): of each pixel the one of ``pixels`` that ``source`` has for its ``label`` (P,)."""
    for pixel in range(len(label)):
        nearest = source[label[pixel]]
        for channel in range(pixels.shape[1]):
            padded[pixel, channel] = pixels[nearest, channel]


@compiled
def grid_nodes(triangles, sides, parts, first_on_edge, first_inside, triangle, barycentric, nodes, shares):
    """For points (P,): the three nodes of a surface grid around each, and how much each counts; both (P, 3)."""
    for item in range(len(triangle)):
        face = triangle[item]
        # Steps away from corners 1 and 2; what is left is the way from corner 0.
        x = min(max(barycentric[item, 1], 0.0), 1.0) * parts
        y = min(max(barycentric[item, 2], 0.0), 1.0) * parts
        i, j = min(int(x), parts - 1), min(int(y), parts - 1)
        if i + j > parts - 1:
            # Rounding at the side across corner 0.
            if x - i < y - j:
                i = parts - 1 - j
            else:
                j = parts - 1 - i
        u, v = x - i, y - j
        if u + v <= 1.0 or i + j == parts - 1:
            v = min(max(v, 0.0), 1.0)
            u = min(max(u, 0.0), 1.0 - v)
            nodes[item, 0] = _grid_node(triangles, sides, parts, first_on_edge, first_inside, face, i, j)
            shares[item, 0] = 1.0 - u - v
        else:
            u, v = 1.0 - v, 1.0 - u
            nodes[item, 0] = _grid_node(triangles, sides, parts, first_on_edge, first_inside, face, i + 1, j + 1)
            shares[item, 0] = 1.0 - u - v
        nodes[item, 1] = _grid_node(triangles, sides, parts, first_on_edge, first_inside, face, i + 1, j)
        nodes[item, 2] = _grid_node(triangles, sides, parts, first_on_edge, first_inside, face, i, j + 1)
        shares[item, 1] = u
        shares[item, 2] = v


@compiled
def _grid_node(triangles, sides, parts, first_on_edge, first_inside, face, i, j):
    """The node ``i`` steps towards corner 1 and ``j`` towards corner 2 of a triangle."""
    k = parts - i - j
    if k == parts:
        return triangles[face, 0]
    if i == parts:
        return triangles[face, 1]
    if j == parts:
        return triangles[face, 2]
    if j == 0:
        side, steps = 0, i
    elif k == 0:
        side, steps = 1, j
    elif i == 0:
        side, steps = 2, k
    else:
        # Rows of constant j: parts - 2, parts - 3 ... nodes, from j = 1 on.
        before = (j - 1) * (parts - 2) - (j - 1) * (j - 2) // 2
        return first_inside + face * ((parts - 1) * (parts - 2) // 2) + before + i - 1
    if triangles[face, side] > triangles[face, (side + 1) % 3]:
        steps = parts - steps
    return first_on_edge + sides[face, side] * (parts - 1) + steps - 1


@compiled
def draw_samples(grid, nodes, shares, pixel, picture):
    """Adds to each pixel of ``picture`` (P, 3) what its samples show of ``grid`` (N, 3)."""
    for sample in range(len(pixel)):
        here = pixel[sample]
        for corner in range(3):
            node, share = nodes[sample, corner], shares[sample, corner]
            for channel in range(3):
                picture[here, channel] += share * grid[node, channel]


@compiled
def add_differences(differences, weights, nodes, shares, pixel, moves):
    """The adjoint of :func:`draw_samples`: to ``moves`` (N, 4), weighted sums of ``differences`` (P, 3), and the
    weights. ``weights``: (P,), of one sample of each pixel.
    """
    for sample in range(len(pixel)):
        here = pixel[sample]
        weight = weights[here]
        if weight == 0.0:
            continue
        for corner in range(3):
            node, share = nodes[sample, corner], weight * shares[sample, corner]
            for channel in range(3):
                moves[node, channel] += share * differences[here, channel]
            moves[node, 3] += share


@compiled
def add_unevenness(values, cells, weights, moves):
    """To ``moves`` (N, 4): for the ends of each side of ``cells`` (C, 3), half the way from each value to the other.

    ``weights``: (D, 3), of the sides, for D cells that follow each other; then the same for the next D.
    """
    count = len(weights)
    for first in range(0, len(cells), count):
        for place in range(count):
            for corner in range(3):
                one, other = cells[first + place, corner], cells[first + place, (corner + 1) % 3]
                weight = weights[place, corner]
                half = np.float32(0.5) * weight
                for channel in range(3):
                    way = half * (values[other, channel] - values[one, channel])
                    moves[one, channel] += way
                    moves[other, channel] -= way
                moves[one, 3] += weight
                moves[other, 3] += weight


@compiled
def add_samples(colours, pixel, sums):
    """To the pixels of ``sums`` (P, 3), the ``colours`` (S, 3) of their samples."""
    for sample in range(len(pixel)):
        for channel in range(3):
            sums[pixel[sample], channel] += colours[sample, channel]


@compiled
def step_nodes(moves, relaxation, correction):
    """``correction`` (N, 3) moved by the weighted means of ``moves`` (K, N, 4), times ``relaxation``."""
    for node in range(len(correction)):
        weight = np.float32(0.0)
        for part in range(len(moves)):
            weight += moves[part, node, 3]
        share = np.float32(relaxation) / max(weight, np.float32(1e-6))
        for channel in range(3):
            sum_of_parts = np.float32(0.0)
            for part in range(len(moves)):
                sum_of_parts += moves[part, node, channel]
            correction[node, channel] += share * sum_of_parts


@compiled
def add_values(values, nodes, shares, pixel, pixels):
    """To ``pixels`` (.., 3) in [0, 1], ``values`` (N, 3) at points (P,), each between three nodes."""
    for item in range(len(pixel)):
        here = pixel[item]
        for channel in range(3):
            moved = pixels[here, channel]
            for corner in range(3):
                moved += shares[item, corner] * values[nodes[item, corner], channel]
            pixels[here, channel] = min(max(moved, np.float32(0.0)), np.float32(1.0))
