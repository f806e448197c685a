//! TypeScript to JavaScript by replacing types with blanks, so that every line and column stays what its author wrote.

use oxc_allocator::Allocator;
use oxc_ast::ast::*;
use oxc_ast_visit::{Visit, walk};
use oxc_parser::{Parser, ParserReturn};
use oxc_span::{GetSpan, SourceType, Span};

use crate::failure::Failure;

/// # Errors
/// A syntax error, or syntax that is more than types and would have to be compiled.
pub(crate) fn strip(module: &str, source: &str) -> Result<String, Failure> {
    let arena = Allocator::default();
    let parsed = Parser::new(&arena, source, SourceType::ts()).parse();
    if let Some(failure) = syntax_error(module, source, &parsed) {
        return Err(failure);
    }
    let mut eraser = Eraser { source, edits: Vec::new(), problem: None };
    eraser.visit_program(&parsed.program);
    match eraser.problem {
        Some((offset, what)) => Err(Failure::at(
            module,
            position(source, offset),
            format!("SyntaxError: {what}; only types that can be erased are understood, so compile such a module to JavaScript first"),
        )),
        None => Ok(eraser.finish()),
    }
}

/// What is wrong with a JavaScript module that the engine does not understand, in better words than its own; `None` where nothing is.
pub(crate) fn explain(module: &str, source: &str) -> Option<Failure> {
    let arena = Allocator::default();
    let failure = syntax_error(module, source, &Parser::new(&arena, source, SourceType::mjs()).parse())?;
    let is_typescript = Parser::new(&arena, source, SourceType::ts()).parse().diagnostics.iter().next().is_none();
    let hint = if is_typescript { "; this is TypeScript, which is understood in `modules` with names that end in .ts" } else { "" };
    Some(Failure { message: format!("{}{hint}", failure.message), ..failure })
}

fn syntax_error(module: &str, source: &str, parsed: &ParserReturn<'_>) -> Option<Failure> {
    let problem = parsed.diagnostics.iter().next()?;
    let offset = problem.labels.first().map_or(0, |label| label.offset() as usize);
    Some(Failure::at(module, position(source, offset), format!("SyntaxError: {}", problem.message)))
}

/// Line and column, both from 1, columns in characters.
fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..source.floor_char_boundary(offset)];
    let line = before.rsplit('\n').next().unwrap_or(before);
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Collects what has to go.
struct Eraser<'s> {
    source: &'s str,
    edits: Vec<Edit>,
    problem: Option<(usize, &'static str)>,
}

struct Edit {
    start: usize,
    end: usize,
    with: With,
}

#[derive(Clone, Copy, PartialEq)]
enum With {
    Blanks,
    /// Where a statement or a class member was, so that its neighbours stay apart.
    Semicolon,
    /// Blanks without line breaks, which are put at the place given instead.
    BlanksOnOneLine,
    LineBreaks(usize),
}

impl Eraser<'_> {
    fn finish(mut self) -> String {
        // The outer of two that begin alike comes first, and what lies in it is skipped.
        self.edits.sort_by_key(|edit| (edit.start, usize::MAX - edit.end));
        let mut output = String::with_capacity(self.source.len());
        let mut at = 0;
        for edit in self.edits.iter().filter(|edit| edit.start <= edit.end) {
            if edit.start < at {
                continue;
            }
            output.push_str(&self.source[at..edit.start]);
            match edit.with {
                With::LineBreaks(count) => output.extend(std::iter::repeat_n('\n', count)),
                with => output.extend(self.source[edit.start..edit.end].chars().enumerate().map(|(nth, c)| match c {
                    _ if nth == 0 && with == With::Semicolon => ';',
                    '\n' | '\r' if with != With::BlanksOnOneLine => c,
                    _ => ' ',
                })),
            }
            at = edit.end;
        }
        output.push_str(&self.source[at..]);
        output
    }

    fn erase(&mut self, span: Span) {
        self.replace(span.start as usize, span.end as usize, With::Blanks);
    }

    fn erase_statement(&mut self, span: Span) {
        self.replace(span.start as usize, span.end as usize, With::Semicolon);
    }

    fn replace(&mut self, start: usize, end: usize, with: With) {
        self.edits.push(Edit { start, end, with });
    }

    fn refuse(&mut self, span: Span, what: &'static str) {
        self.problem.get_or_insert((span.start as usize, what));
    }

    /// The offset of the next character that is neither white space nor in a comment.
    fn next_token(&self, mut at: usize) -> usize {
        loop {
            let rest = &self.source[at..];
            let trimmed = rest.trim_start();
            at += rest.len() - trimmed.len();
            let comment = if trimmed.starts_with("//") {
                trimmed.find('\n')
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").map(|end| end + 2)
            } else {
                return at;
            };
            at += comment.unwrap_or(trimmed.len());
        }
    }

    /// Erases `mark` if it is the next token from `at` on, a closing bracket of a computed name aside.
    fn erase_mark(&mut self, at: u32, mark: char) {
        let mut at = self.next_token(at as usize);
        if mark != ',' && self.source[at..].starts_with(']') {
            at = self.next_token(at + 1);
        }
        if self.source[at..].starts_with(mark) {
            self.replace(at, at + 1, With::Blanks);
        }
    }

    /// Erases the modifiers that TypeScript puts before the name of a class member.
    fn erase_modifiers(&mut self, member: Span, name: Span) {
        const MODIFIERS: [&str; 7] = ["public", "private", "protected", "readonly", "override", "abstract", "declare"];
        let (begin, end) = (member.start as usize, name.start as usize);
        let mut at = begin;
        while at < end {
            let rest = &self.source[at..end];
            let word = rest.find(|c: char| !c.is_ascii_alphabetic()).map_or(rest, |length| &rest[..length]);
            if MODIFIERS.contains(&word) {
                let with = if at == begin { With::Semicolon } else { With::Blanks };
                self.replace(at, at + word.len(), with);
            }
            at += word.len().max(rest.chars().next().map_or(1, char::len_utf8));
        }
    }

    fn is_erased(declaration: &Declaration<'_>) -> bool {
        match declaration {
            Declaration::TSTypeAliasDeclaration(_) | Declaration::TSInterfaceDeclaration(_) | Declaration::TSGlobalDeclaration(_) => true,
            Declaration::VariableDeclaration(it) => it.declare,
            Declaration::FunctionDeclaration(it) => it.declare || it.body.is_none(),
            Declaration::ClassDeclaration(it) => it.declare,
            Declaration::TSEnumDeclaration(it) => it.declare,
            Declaration::TSNamespaceDeclaration(it) => it.declare,
            Declaration::TSExternalModuleDeclaration(_) => true,
            Declaration::TSImportEqualsDeclaration(it) => it.import_kind.is_type(),
        }
    }
}

impl<'a> Visit<'a> for Eraser<'_> {
    fn visit_statement(&mut self, it: &Statement<'a>) {
        let erased = match it {
            Statement::ImportDeclaration(it) => it.import_kind.is_type(),
            Statement::ExportAllDeclaration(it) => it.export_kind.is_type(),
            Statement::ExportNamedDeclaration(it) => it.export_kind.is_type(),
            Statement::ExportFromDeclaration(it) => it.export_kind.is_type(),
            Statement::ExportDeclaration(it) => Self::is_erased(&it.declaration),
            Statement::ExportDefaultDeclaration(it) => match &it.declaration {
                ExportDefaultDeclarationKind::TSInterfaceDeclaration(_) => true,
                ExportDefaultDeclarationKind::FunctionDeclaration(it) => it.body.is_none(),
                _ => false,
            },
            Statement::TSNamespaceExportDeclaration(_) => true,
            it => it.as_declaration().is_some_and(Self::is_erased),
        };
        if erased {
            self.erase_statement(it.span());
        } else {
            walk::walk_statement(self, it);
        }
    }

    fn visit_ts_type_annotation(&mut self, it: &TSTypeAnnotation<'a>) {
        self.erase(it.span);
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &TSTypeParameterDeclaration<'a>) {
        self.erase(it.span);
    }

    fn visit_ts_type_parameter_instantiation(&mut self, it: &TSTypeParameterInstantiation<'a>) {
        self.erase(it.span);
    }

    fn visit_ts_as_expression(&mut self, it: &TSAsExpression<'a>) {
        self.erase(Span::new(it.expression.span().end, it.span.end));
        self.visit_expression(&it.expression);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &TSSatisfiesExpression<'a>) {
        self.erase(Span::new(it.expression.span().end, it.span.end));
        self.visit_expression(&it.expression);
    }

    fn visit_ts_non_null_expression(&mut self, it: &TSNonNullExpression<'a>) {
        self.erase(Span::new(it.expression.span().end, it.span.end));
        self.visit_expression(&it.expression);
    }

    fn visit_ts_type_assertion(&mut self, it: &TSTypeAssertion<'a>) {
        self.erase(Span::new(it.span.start, it.expression.span().start));
        self.visit_expression(&it.expression);
    }

    fn visit_ts_this_parameter(&mut self, it: &TSThisParameter<'a>) {
        self.erase(it.span);
        self.erase_mark(it.span.end, ',');
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if it.definite {
            self.erase_mark(it.id.span().end, '!');
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_formal_parameter(&mut self, it: &FormalParameter<'a>) {
        if it.accessibility.is_some() || it.readonly || it.r#override {
            self.refuse(it.span, "a parameter with `public`, `private`, `protected` or `readonly` declares a property");
        }
        if it.optional {
            self.erase_mark(it.pattern.span().end, '?');
        }
        walk::walk_formal_parameter(self, it);
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        // No line may end between `)` and `=>`.
        if let Some(returns) = &it.return_type {
            let (start, end) = (returns.span.start as usize, returns.span.end as usize);
            let breaks = self.source[start..end].matches('\n').count();
            if breaks > 0 {
                self.replace(start, end, With::BlanksOnOneLine);
                let body = it.body.span().start as usize;
                self.replace(body, body, With::LineBreaks(breaks));
            }
        }
        walk::walk_arrow_function_expression(self, it);
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        if it.r#abstract {
            let at = it.span.start as usize;
            if self.source[at..].starts_with("abstract") {
                self.replace(at, at + "abstract".len(), With::Blanks);
            }
        }
        if let (Some(first), Some(last)) = (it.implements.first(), it.implements.last()) {
            let before = &self.source[..first.span.start as usize];
            let start = before.rfind("implements").unwrap_or(before.len());
            self.replace(start, last.span.end as usize, With::Blanks);
        }
        walk::walk_class(self, it);
    }

    fn visit_ts_class_implements(&mut self, _: &TSClassImplements<'a>) {}

    fn visit_ts_index_signature(&mut self, it: &TSIndexSignature<'a>) {
        self.erase_statement(it.span);
    }

    fn visit_method_definition(&mut self, it: &MethodDefinition<'a>) {
        if it.r#type == MethodDefinitionType::TSAbstractMethodDefinition || it.value.body.is_none() {
            self.erase_statement(it.span);
            return;
        }
        self.erase_modifiers(it.span, it.key.span());
        if it.optional {
            self.erase_mark(it.key.span().end, '?');
        }
        walk::walk_method_definition(self, it);
    }

    fn visit_property_definition(&mut self, it: &PropertyDefinition<'a>) {
        if it.declare || it.r#type == PropertyDefinitionType::TSAbstractPropertyDefinition {
            self.erase_statement(it.span);
            return;
        }
        self.erase_modifiers(it.span, it.key.span());
        if it.optional {
            self.erase_mark(it.key.span().end, '?');
        }
        if it.definite {
            self.erase_mark(it.key.span().end, '!');
        }
        walk::walk_property_definition(self, it);
    }

    fn visit_import_specifier(&mut self, it: &ImportSpecifier<'a>) {
        if it.import_kind.is_type() {
            self.erase(it.span);
            self.erase_mark(it.span.end, ',');
        }
    }

    fn visit_export_specifier(&mut self, it: &ExportSpecifier<'a>) {
        if it.export_kind.is_type() {
            self.erase(it.span);
            self.erase_mark(it.span.end, ',');
        }
    }

    fn visit_ts_enum_declaration(&mut self, it: &TSEnumDeclaration<'a>) {
        self.refuse(it.span, "an `enum` is more than a type");
    }

    fn visit_ts_namespace_declaration(&mut self, it: &TSNamespaceDeclaration<'a>) {
        self.refuse(it.span, "a `namespace` is more than a type");
    }

    fn visit_ts_import_equals_declaration(&mut self, it: &TSImportEqualsDeclaration<'a>) {
        self.refuse(it.span, "`import … =` is no JavaScript");
    }

    fn visit_ts_export_assignment(&mut self, it: &TSExportAssignment<'a>) {
        self.refuse(it.span, "`export =` is no JavaScript");
    }

    fn visit_decorator(&mut self, it: &Decorator<'a>) {
        self.refuse(it.span, "a decorator is more than a type");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(source: &str) -> String {
        let output = strip("a.ts", source).unwrap_or_else(|failure| panic!("{source}: {failure}"));
        assert_eq!(output.matches('\n').count(), source.matches('\n').count(), "{output}");
        output.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn types_leave_and_everything_else_stays_where_it_is() {
        let source = "const a: number = 1;\nlet b = a as unknown as string;";
        assert_eq!(strip("a.ts", source).unwrap(), "const a         = 1;\nlet b = a                     ;");
    }

    #[test]
    fn all_that_is_only_a_type_is_erased() {
        for (source, expected) in [
            ("type A = { b: string };\nlet x = 1", "; let x = 1"),
            ("interface A { b: string }\nexport interface B extends A {}\nlet x", "; ; let x"),
            ("function f<T>(a?: T, ...b: T[]): a is T { return g<T>(a!) }", "function f (a , ...b ) { return g (a ) }"),
            ("function f(this: Window, a) {}", "function f( a) {}"),
            ("function f(a: string): void;\nfunction f(a) {}", "; function f(a) {}"),
            ("const f = async <T,>(a: T): Promise<T> => a", "const f = async (a ) => a"),
            ("const f = (a): {\n b: 1\n} => a", "const f = (a) => a"),
            ("import type { A } from './a.ts'; import { type B, c } from './b.ts'", "; import { c } from './b.ts'"),
            ("export type { A }; export type * from './a.ts'", "; ;"),
            ("export { type A, b }", "export { b }"),
            ("declare const a: string; declare function f(): void", "; ;"),
            ("let a!: string; a = <string>b", "let a ; a = b"),
            (
                "abstract class A<T> extends B<T> implements C, D<T> { private readonly a?: T; static override b = 1; abstract c(): void; [k: string]: T; declare d: T; e!: T; async f?(): Promise<T> {} }",
                "class A extends B { ; a ; static b = 1; ; ; ; e ; async f () {} }",
            ),
            ("const a = { b: 1 } satisfies A; new Map<string, number>()", "const a = { b: 1 } ; new Map ()"),
            ("try {} catch (e: unknown) {}", "try {} catch (e ) {}"),
            ("label: for (const a of b) { c ? d : e }", "label: for (const a of b) { c ? d : e }"),
        ] {
            assert_eq!(stripped(source), expected);
        }
    }

    #[test]
    fn what_is_more_than_a_type_is_refused_with_its_place() {
        for (source, what) in [
            ("\nenum A { B }", "a.ts:2:1"),
            ("namespace A { export const b = 1 }", "namespace"),
            ("class A { constructor(private b: string) {} }", "declares a property"),
            ("import a = require('a')", "import … ="),
            ("let a: = 1", "a.ts:1:8"),
        ] {
            let failure = strip("a.ts", source).unwrap_err().to_string();
            assert!(failure.contains(what), "{source}: {failure}");
        }
    }
}
