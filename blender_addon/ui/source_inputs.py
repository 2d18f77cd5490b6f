"""The rows of the main panel that belong to the chosen source."""

from ..sources import SOURCES, VIEWS, chosen_mesh


def draw_source(layout, context, settings):
    """The choice of the source, and what it needs."""
    layout.prop(settings, "source")
    match settings.source:
        case "FILE" | "BUNDLE":
            layout.prop(settings, "filepath")
        case "IMAGE":
            picture = layout.column()
            picture.use_property_split = False
            picture.template_ID_preview(settings, "image", open="image.open", rows=3, cols=6)
        case "VIEWS":
            views = layout.column(align=True)
            for view in VIEWS:
                views.prop(settings, view)
        case "MESH":
            mesh = chosen_mesh(context)
            row = layout.row()
            row.alignment = "RIGHT"
            row.label(text=mesh.name if mesh is not None else "No mesh is selected", icon="MESH_DATA")
    if SOURCES[settings.source].takes_prompt:
        layout.prop(settings, "prompt")
