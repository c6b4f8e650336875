//! What stands around every page: its title, where the server acts, who looks, and how the page keeps up to date.

use super::assets;
use crate::app::App;
use crate::auth::Caller;

/// How often a page without JavaScript reloads itself while things move.
const RELOAD_S: u32 = 5;

/// The frame of one page.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) title: String,
    /// Which entry of the navigation is the present one.
    pub(crate) section: &'static str,
    /// The account and region, or the local world; on every page, so that nobody mistakes one for the other.
    pub(crate) place: String,
    pub(crate) place_class: &'static str,
    pub(crate) user: String,
    /// The page's event stream; its parts marked `data-live` follow it.
    pub(crate) stream: Option<String>,
    /// The page's own path, which a GET answers; the address in the bar may be that of a refused form.
    pub(crate) page: String,
    pub(crate) reload_s: Option<u32>,
    /// The same where there is no stream, with JavaScript too.
    pub(crate) refresh_s: Option<u32>,
    pub(crate) version: &'static str,
    pub(crate) assets: assets::Urls,
}

impl Frame {
    pub(crate) fn new(title: impl Into<String>, section: &'static str, around: &Around) -> Self {
        Self {
            title: title.into(),
            section,
            place: around.place.clone(),
            place_class: around.place_class,
            user: around.user.clone(),
            stream: None,
            page: String::new(),
            reload_s: None,
            refresh_s: None,
            version: env!("CARGO_PKG_VERSION"),
            assets: assets::urls(),
        }
    }

    /// A page that changes by itself.
    #[must_use]
    pub(crate) fn live(mut self, page: impl Into<String>, stream: impl Into<String>) -> Self {
        self.page = page.into();
        self.stream = Some(stream.into());
        self.reload_s = Some(RELOAD_S);
        self
    }
}

/// What every page of this server has in common.
#[derive(Debug, Clone)]
pub(crate) struct Around {
    pub(crate) place: String,
    /// `local` or `aws`; the colour of the place.
    pub(crate) place_class: &'static str,
    pub(crate) user: String,
    /// Whether this is `arya try`, with samples and controls.
    pub(crate) local: bool,
}

impl Around {
    pub(crate) fn of(app: &App, caller: Option<&Caller>) -> Self {
        let (place, place_class) = app.world.place();
        Self {
            place,
            place_class,
            user: caller.map_or_else(String::new, |caller| caller.name.clone()),
            local: app.settings.samples.is_some(),
        }
    }
}
