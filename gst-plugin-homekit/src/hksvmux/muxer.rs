//! Where `isofmp4mux` comes from.
//!
//! Where the system has the plugin `fmp4`, its element is taken: the types of that plugin can be
//! registered once in a process. Elsewhere the copy linked into this plugin is, and its features leave the
//! registry again, so that nothing an application plugs automatically changes.

use std::sync::OnceLock;

use gst::glib;
use gst::prelude::*;

const ELEMENT: &str = "isofmp4mux";

/// Makes an `isofmp4mux`.
///
/// # Errors
/// If it cannot be loaded, or is too old.
pub(super) fn make() -> Result<gst::Element, glib::BoolError> {
    static TYPE: OnceLock<Result<glib::Type, glib::BoolError>> = OnceLock::new();
    let element_type = TYPE
        .get_or_init(|| find().map_or_else(linked, Ok))
        .clone()?;
    let object = glib::Object::with_type(element_type);
    let element = object.downcast::<gst::Element>();
    element.map_err(|_| glib::bool_error!("{ELEMENT} is no element"))
}

fn find() -> Option<glib::Type> {
    let factory = gst::ElementFactory::find(ELEMENT)?;
    let factory = factory
        .load()
        .ok()?
        .downcast::<gst::ElementFactory>()
        .ok()?;
    Some(factory.element_type())
}

fn linked() -> Result<glib::Type, glib::BoolError> {
    gstfmp4::plugin_register_static()?;
    let found = find().ok_or_else(|| glib::bool_error!("{ELEMENT} was not registered"));
    let registry = gst::Registry::get();
    for feature in registry.features_by_plugin("fmp4") {
        registry.remove_feature(&feature);
    }
    if let Some(plugin) = registry.find_plugin("fmp4") {
        registry.remove_plugin(&plugin);
    }
    found
}
