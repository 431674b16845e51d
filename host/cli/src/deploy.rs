//! `tensorlet deploy`: what hosts of WebAssembly need to serve models.
//!
//! ```text
//! MODEL … ─ models ─► components that handle HTTP requests ─ names ─► ids ─ manifest ─► spin.toml
//!                                                                        └ kubernetes ─► spinapp.yaml
//! ```
//!
//! All of it is written to one folder ([`folder`]), which belongs to the command: what it wrote before is replaced, what others wrote or changed is not.

mod folder;
mod kubernetes;
mod manifest;
mod models;
mod names;

use std::io::Write;
use std::path::Path;

use anyhow::Result;

use self::folder::{Folder, NewFile};
use self::kubernetes::SpinApp;
use self::models::Model;
pub(crate) use self::names::is_kebab_case;
use crate::args::DeploySpinArgs;
use crate::build::COMPILE_STAGES;
use crate::exit::Failure;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::table::printable;
use crate::units::size;

/// What Spin is given.
const MANIFEST: &str = "spin.toml";

/// What Kubernetes is given.
const KUBERNETES: &str = "spinapp.yaml";

/// The name of an application of several models.
const DEFAULT_APP_NAME: &str = "models";

/// Writes a Spin application of the models and says what to do with it.
pub(crate) fn spin(args: &DeploySpinArgs, settings: &Settings) -> Result<()> {
    let folder = Folder::new(&args.output, args.force)?;
    // Compiling takes seconds, and what cannot be written later is known now.
    folder.check([MANIFEST, KUBERNETES])?;

    let mut models = vec![];
    for path in &args.models {
        let progress = Progress::new(COMPILE_STAGES);
        models.push(Model::read(path, settings, &progress)?);
    }
    check_names(&models)?;
    let app = App::new(args, models);

    let mut files: Vec<NewFile> = vec![];
    for (id, model) in app.components() {
        files.push(NewFile::component(id, &model.component));
    }
    files.push(NewFile::text(KUBERNETES, &app.kubernetes().to_yaml()?));
    files.push(NewFile::text(MANIFEST, &app.manifest()?));
    folder.write(&files)?;
    app.print(&args.output)
}

/// Checks that each model has a route of its own.
fn check_names(models: &[Model]) -> Result<(), Failure> {
    for (index, model) in models.iter().enumerate() {
        if let Some(other) = models[..index]
            .iter()
            .find(|other| other.name() == model.name())
        {
            return Err(Failure::usage(format!(
                "expected models of different names, found `{}` twice: {} and {}",
                model.name(),
                other.path.display(),
                model.path.display()
            )));
        }
    }
    Ok(())
}

/// An application of models.
struct App {
    name: String,
    version: String,
    image: String,
    /// Whether the user named the image.
    is_image_given: bool,
    models: Vec<Model>,
    /// What each is called in the application, in the order of the models.
    ids: Vec<String>,
}

impl App {
    fn new(args: &DeploySpinArgs, models: Vec<Model>) -> Self {
        let ids = names::ids(models.iter().map(Model::name));
        let (name, version) = match (models.as_slice(), ids.as_slice()) {
            ([model], [id]) => (names::app_name(id), names::semver(model.version())),
            _ => (DEFAULT_APP_NAME.into(), names::semver("")),
        };
        let name = args.name.clone().unwrap_or(name);
        let made_up = || format!("registry.example.com/{name}:{version}");
        Self {
            image: args.image.clone().unwrap_or_else(made_up),
            is_image_given: args.image.is_some(),
            name,
            version,
            models,
            ids,
        }
    }

    /// Returns the models with their ids.
    fn components(&self) -> impl Iterator<Item = (&str, &Model)> {
        self.ids.iter().map(String::as_str).zip(&self.models)
    }

    fn manifest(&self) -> Result<String> {
        let components: Vec<_> = self
            .components()
            .map(|(id, model)| manifest::Model {
                id,
                name: model.name(),
                description: model.about(),
            })
            .collect();
        manifest::write(&self.name, &self.version, &components)
    }

    fn kubernetes(&self) -> SpinApp<'_> {
        SpinApp {
            name: &self.name,
            image: &self.image,
            component_bytes: self
                .models
                .iter()
                .map(|model| model.component.len() as u64)
                .sum(),
        }
    }

    /// Prints what was written, and what to do next.
    fn print(&self, folder: &Path) -> Result<()> {
        let shown = folder.display();
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{}: {shown}/{MANIFEST}, {shown}/{KUBERNETES}",
            self.name
        )?;
        for (id, model) in self.components() {
            writeln!(
                out,
                "  {} {}: {}, {}, at {}",
                printable(model.name()),
                printable(model.version()),
                folder.join(folder::component_file(id)).display(),
                size(model.component.len() as u64),
                manifest::route(model.name()),
            )?;
        }
        writeln!(
            out,
            "\nServe it here, or push it to a registry and serve it on Kubernetes:"
        )?;
        writeln!(out, "  spin up -f {shown}")?;
        writeln!(out, "  spin registry push -f {shown} {}", self.image)?;
        writeln!(out, "  kubectl apply -f {shown}/{KUBERNETES}")?;
        if !self.is_image_given {
            writeln!(
                out,
                "\nThe registry is made up: --image says which is yours."
            )?;
        }
        out.flush()?;
        Ok(())
    }
}
