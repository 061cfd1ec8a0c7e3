//! Where a command reads and writes: data on stdout, talk on stderr, secrets without echo.

use std::io::{self, IsTerminal as _, Read, Write};

use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::problem::Problem;

/// The three streams of a process, and what may be done with them.
pub struct Console {
    input: Box<dyn Read + Send>,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    interactive: bool,
    colour_out: bool,
    colour_err: bool,
}

/// The longest text read from stdin; a token or a secret is far shorter.
const MAX_INPUT: u64 = 64 * 1024;

impl Console {
    /// The streams of this process. Colour only on a terminal, and never where `NO_COLOR` is set (no-color.org).
    #[must_use]
    pub fn of_process(environment: &Environment) -> Self {
        let colour = environment.var("NO_COLOR").is_none() && environment.var("TERM") != Some("dumb");
        Self {
            interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
            colour_out: colour && io::stdout().is_terminal(),
            colour_err: colour && io::stderr().is_terminal(),
            input: Box::new(io::stdin()),
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
        }
    }

    /// Other streams in place of the process's: no colour, nobody to ask.
    #[must_use]
    pub fn with_streams(
        input: impl Read + Send + 'static,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Self {
        Self {
            input: Box::new(input),
            out: Box::new(out),
            err: Box::new(err),
            interactive: false,
            colour_out: false,
            colour_err: false,
        }
    }

    /// Whether somebody sits there who can be asked.
    #[must_use]
    pub const fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Whether stdout takes colour.
    #[must_use]
    pub const fn colours_stdout(&self) -> bool {
        self.colour_out
    }

    /// Whether stderr takes colour.
    #[must_use]
    pub const fn colours_stderr(&self) -> bool {
        self.colour_err
    }

    /// Writes data, as it is. A reader that went away (`| head`) is no error.
    pub fn out(&mut self, text: &str) -> Result<(), Problem> {
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Problem::internal("OUTPUT", format!("cannot write to stdout: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Says a line to the person at the terminal. Nothing is done where even that fails.
    pub fn note(&mut self, text: &str) {
        self.raw_note(&format!("{text}\n"));
    }

    /// Says a text to the person at the terminal, as it is.
    pub fn raw_note(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }

    /// Asks a question that is answered with a line.
    pub fn ask(&mut self, question: &str) -> Result<String, Problem> {
        self.raw_note(question);
        let mut line = Vec::new();
        let mut byte = [0];
        // Byte by byte: what follows the line belongs to whoever reads next.
        while line.len() < 1024 && self.input.read(&mut byte).map_err(unreadable)? == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    }

    /// Asks for a secret, without echo. Only where [`Self::is_interactive`].
    pub fn ask_hidden(&mut self, question: &str) -> Result<Zeroizing<String>, Problem> {
        self.raw_note(question);
        let answer = rpassword::read_password().map(Zeroizing::new).map_err(unreadable);
        self.note("");
        answer
    }

    /// Reads stdin to its end, without the line break it usually ends in.
    pub fn read_input(&mut self) -> Result<Zeroizing<String>, Problem> {
        read_short(&mut self.input).map_err(unreadable)
    }
}

/// Reads a short text and drops one line break at its end.
pub(crate) fn read_short(source: &mut dyn Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    source.take(MAX_INPUT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_INPUT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than 64 KiB"));
    }
    let ending = if text.ends_with("\r\n") { 2 } else { usize::from(text.ends_with('\n')) };
    let kept = text.len() - ending;
    text.truncate(kept);
    Ok(text)
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn unreadable(error: io::Error) -> Problem {
    Problem::usage("INPUT", format!("cannot read the input: {error}"))
}
