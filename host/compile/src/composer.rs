//! Writes a component made of others, section by section.
//!
//! Whoever writes one must know the number of each component and instance in it. [`Composer`] counts them: what is nested, instantiated, aliased and
//! exported gets the next number of its kind.

use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection,
    ComponentInstanceSection, ComponentSection, ComponentSectionId, RawSection,
};

/// The number of a nested component.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Nested(u32);

/// The number of an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Instance(u32);

impl Instance {
    /// Returns the number.
    pub(crate) fn index(self) -> u32 {
        self.0
    }
}

/// A component that is being written.
#[derive(Default)]
pub(crate) struct Composer {
    component: Component,
    components: u32,
    instances: u32,
}

impl Composer {
    /// Puts a component into it, as it is.
    pub(crate) fn nest(&mut self, component: &[u8]) -> Nested {
        self.section(&RawSection {
            id: ComponentSectionId::Component.into(),
            data: component,
        });
        self.components += 1;
        Nested(self.components - 1)
    }

    /// Instantiates a component that was put into it, with instances for what it imports.
    pub(crate) fn instantiate<'a>(
        &mut self,
        component: Nested,
        imports: impl IntoIterator<Item = (&'a str, Instance), IntoIter: ExactSizeIterator>,
    ) -> Instance {
        let imports = imports.into_iter();
        let imports =
            imports.map(|(name, instance)| (name, ComponentExportKind::Instance, instance.0));
        let mut section = ComponentInstanceSection::new();
        section.instantiate(component.0, imports);
        self.section(&section);
        self.next_instance()
    }

    /// Returns an instance that another one exports.
    pub(crate) fn alias(&mut self, instance: Instance, name: &str) -> Instance {
        let mut section = ComponentAliasSection::new();
        section.alias(Alias::InstanceExport {
            instance: instance.0,
            kind: ComponentExportKind::Instance,
            name,
        });
        self.section(&section);
        self.next_instance()
    }

    /// Exports an instance.
    pub(crate) fn export(&mut self, name: &str, instance: Instance) {
        let mut section = ComponentExportSection::new();
        section.export(name, ComponentExportKind::Instance, instance.0, None);
        self.section(&section);
        // An export is an instance of its own.
        self.next_instance();
    }

    /// Appends a section that makes no components and no instances.
    pub(crate) fn section(&mut self, section: &impl ComponentSection) {
        self.component.section(section);
    }

    /// Counts an instance that a section made, such as an import.
    pub(crate) fn next_instance(&mut self) -> Instance {
        self.instances += 1;
        Instance(self.instances - 1)
    }

    /// Returns the component's bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.component.finish()
    }
}
