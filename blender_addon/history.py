"""What was made in this file: one line for each result, kept with the scene."""

import bpy


class Kiss3DHistoryEntry(bpy.types.PropertyGroup):
    """``name`` is the object's name when it was finished; ``made`` the local time of that, as YYYY-MM-DD HH:MM."""

    job: bpy.props.StringProperty(name="Job", description="The job's identity, by which the backend knows it")
    made: bpy.props.StringProperty(name="Made", description="When it was finished")
    preset: bpy.props.StringProperty(name="Preset", description="How much work was put into it")
    seed: bpy.props.StringProperty(name="Seed", description="The seed that it was made with")
    recipe: bpy.props.StringProperty(name="Recipe", description="All that it was made with, as JSON")
    prompt: bpy.props.StringProperty(name="Prompt", description="The words that it was made with")
