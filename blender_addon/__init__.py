"""Kiss3D: textured 3D objects from pictures, made by a backend process.

Nothing is imported here before :func:`register`, so that the parts without bpy can be imported without Blender.
"""


def register():
    from . import registration

    registration.register()


def unregister():
    from . import registration

    registration.unregister()
