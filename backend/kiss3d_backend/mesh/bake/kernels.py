"""Numba kernels of the baking."""

from __future__ import annotations

import numpy as np

from kiss3d_backend.mesh.compiled import compiled


@compiled
def nearest_points(
    points, normals, reach, corners, facing, balls, origin, cell, shape, begins, faces, triangle, weights
):
    """For points (P, 3): cells around each are searched in growing shells until none can hold anything nearer.

    ``balls``: (T, 4), the middle and radius of a ball around each triangle: most are ruled out by it.
    """
    for item in range(len(points)):
        px, py, pz = np.float64(points[item, 0]), np.float64(points[item, 1]), np.float64(points[item, 2])
        gx, gy, gz = (px - origin[0]) / cell, (py - origin[1]) / cell, (pz - origin[2]) / cell
        cx, cy, cz = int(np.floor(gx)), int(np.floor(gy)), int(np.floor(gz))
        best, best_distance = reach * reach, reach
        shell = 0
        # Everything closer than this has been looked at once the shells before this one are done.
        margin = min(gx - cx, cx + 1 - gx, gy - cy, cy + 1 - gy, gz - cz, cz + 1 - gz)
        while shell == 0 or ((shell - 1 + margin) * cell) ** 2 < best:
            for x in range(max(cx - shell, 0), min(cx + shell, shape[0] - 1) + 1):
                dx = max(x - gx, gx - x - 1.0, 0.0) * cell
                for y in range(max(cy - shell, 0), min(cy + shell, shape[1] - 1) + 1):
                    dy = max(y - gy, gy - y - 1.0, 0.0) * cell
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
                            agree = (
                                facing[face, 0] * normals[item, 0]
                                + facing[face, 1] * normals[item, 1]
                                + facing[face, 2] * normals[item, 2]
                            )
                            if agree <= 0.0:
                                continue
                            bx, by, bz = px - balls[face, 0], py - balls[face, 1], pz - balls[face, 2]
                            far = bx * bx + by * by + bz * bz
                            if far > (best_distance + balls[face, 3]) ** 2:
                                continue
                            squared, u, v = _nearest_in_triangle(corners[face], px, py, pz)
                            if squared < best:
                                best = squared
                                best_distance = np.sqrt(squared)
                                triangle[item] = face
                                weights[item, 0] = 1.0 - u - v
                                weights[item, 1] = u
                                weights[item, 2] = v
            shell += 1


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
def add_unevenness(values, cells, weight, moves):
    """To ``moves`` (N, 4): for the ends of each side of ``cells`` (C, 3), half the way from each value to the other."""
    for cell in range(len(cells)):
        for corner in range(3):
            one, other = cells[cell, corner], cells[cell, (corner + 1) % 3]
            for channel in range(3):
                half = 0.5 * weight * (values[other, channel] - values[one, channel])
                moves[one, channel] += half
                moves[other, channel] -= half
            moves[one, 3] += weight
            moves[other, 3] += weight
