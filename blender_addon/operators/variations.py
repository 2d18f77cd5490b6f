"""Making a job of the list again: as it was, with another seed, or from its imagined views on."""

from __future__ import annotations

import bpy

from kiss3d_protocol.messages import new_job_id
from kiss3d_protocol.params import MAX_PROMPT, GenerateParams

from .. import blender_session
from ..job import Job
from ..job_state import Phase
from ..properties import LARGEST_SEED
from ..translations import OWN_CONTEXT, tr
from ..variations import from_here, next_bundle_seed, next_seed, place_beside
from .attempt import attempt
from .jobs import JobOperator


def _submit(operator, job: Job, params: GenerateParams, *, beside: bool) -> set[str]:
    monitor = blender_session.monitor()
    if job.inputs is None:
        operator.report({"WARNING"}, tr("What this job was made of is not here: it was made in another session"))
        return {"CANCELLED"}
    target = job.target.again(new_job_id())
    if beside:
        taken = [other.target.location for other in monitor.jobs.values()]
        target.stand_at(place_beside(target.location, target.size, taken))
    return attempt(operator, lambda: monitor.submit(job.backend, job.inputs, params, target))


class KISS3D_OT_retry(JobOperator, bpy.types.Operator):
    """Make this job again, with the same inputs and settings. What the backend has kept of it is not made again"""

    bl_idname = "kiss3d.retry"
    bl_label = "Retry"

    def execute(self, context):
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        if not job.settled or job.state.phase is Phase.FINISHED:
            self.report({"WARNING"}, tr("Only a job that failed or was cancelled can be retried"))
            return {"CANCELLED"}
        done = _submit(self, job, job.params, beside=False)
        if done == {"FINISHED"}:
            blender_session.monitor().dismiss(job)
        return done


class KISS3D_OT_new_variation(JobOperator, bpy.types.Operator):
    """Make another object of the same inputs, with the next seed. It comes beside this one"""

    bl_idname = "kiss3d.new_variation"
    bl_label = "New Variation"

    def execute(self, context):
        job = self.find()
        return {"CANCELLED"} if job is None else _submit(self, job, next_seed(job.params), beside=True)


class KISS3D_OT_from_here(JobOperator, bpy.types.Operator):
    """Keep the imagined sides of this object and draw another bundle of them, with another seed or prompt. It comes beside this one"""  # noqa: E501

    bl_idname = "kiss3d.from_here"
    bl_label = "From Here..."

    prompt: bpy.props.StringProperty(
        name="Prompt",
        translation_context=OWN_CONTEXT,
        description="What the object is, in words. Empty: the backend describes the picture itself",
        maxlen=MAX_PROMPT,
        options={"SKIP_SAVE"},
    )
    bundle_seed: bpy.props.IntProperty(
        name="Bundle Seed",
        description="Another seed draws another bundle of the same imagined sides",
        min=0,
        max=LARGEST_SEED,
        options={"SKIP_SAVE"},
    )

    def invoke(self, context, event):
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        self.prompt, self.bundle_seed = job.params.prompt, min(next_bundle_seed(job.params), LARGEST_SEED)
        return context.window_manager.invoke_props_dialog(self, width=360)

    def execute(self, context):
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        if job.params.preset == "draft":
            self.report({"WARNING"}, tr("The Draft preset draws no bundle that could be drawn again"))
            return {"CANCELLED"}
        return _submit(self, job, from_here(job.params, self.bundle_seed, self.prompt), beside=True)


class KISS3D_OT_choose_bundle(JobOperator, bpy.types.Operator):
    """Make the object of this bundle; the others are left"""

    bl_idname = "kiss3d.choose_bundle"
    bl_label = "Use This"

    bundle: bpy.props.IntProperty(options={"HIDDEN", "SKIP_SAVE"}, min=0)

    def execute(self, context):
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        if not blender_session.monitor().choose(job, self.bundle):
            self.report({"WARNING"}, tr("This job does not wait for a choice now"))
            return {"CANCELLED"}
        blender_session.wake()
        return {"FINISHED"}


CLASSES = (KISS3D_OT_retry, KISS3D_OT_new_variation, KISS3D_OT_from_here, KISS3D_OT_choose_bundle)
