"""Generate again what an object was made by."""

import bpy

from ..capture.again import inputs_again, mesh_of, recipe_of
from ..importer.recipe import params_of
from ..variations import next_seed
from . import submitting


class KISS3D_OT_generate_again(bpy.types.Operator):
    """Make the active object again from the same inputs with the same settings, with the backend as it is now"""

    bl_idname = "kiss3d.generate_again"
    bl_label = "Generate Again Like This"
    bl_options = {"REGISTER"}

    variation: bpy.props.BoolProperty(
        name="Variation", description="Take the next seed, for another one of its kind", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        if not recipe_of(context.active_object):
            cls.poll_message_set("Select an object that Kiss3D has made first")
            return False
        return True

    def execute(self, context):
        return submitting.submit(self, context, lambda: [self._request(context)])

    def _request(self, context) -> submitting.Request:
        thing = context.active_object
        recipe = recipe_of(thing)
        params = params_of(recipe)
        if self.variation:
            params = next_seed(params)
        inputs = inputs_again(thing)
        if inputs.picture_sha256 != recipe.get("picture_sha256"):
            self.report({"WARNING"}, "The picture is not the one of then: it has been changed")
        source = mesh_of(recipe)
        if source is not None:
            return submitting.request_at(context, source, inputs, params, in_place=False)
        return submitting.request(context, inputs, params, float(recipe.get("size", context.scene.kiss3d.size)))


CLASSES = (KISS3D_OT_generate_again,)
