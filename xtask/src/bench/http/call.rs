//! One call, sent over a connection that is there.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

/// A request with zeros for an input, as bytes.
pub(super) struct Call {
    request: Vec<u8>,
}

impl Call {
    /// Makes a call of a model, given its input as `name:type[dims]`.
    ///
    /// # Errors
    /// If that is not what `input` is.
    pub(super) fn new(model: &str, input: &str) -> Result<Self> {
        let parts = input.rsplit_once(':').and_then(|(name, rest)| {
            let (datum_type, dims) = rest.strip_suffix(']')?.split_once('[')?;
            Some((name, datum_type, dims))
        });
        let (name, datum_type, dims) =
            parts.with_context(|| format!("expected `name:type[dims]`, found `{input}`"))?;
        let datatype = match datum_type {
            "i32" => "INT32",
            "f32" => "FP32",
            _ => bail!("expected an input of f32 or i32, found `{input}`"),
        };
        let dims: Vec<usize> = dims
            .split(',')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("expected dims that are numbers, found `{input}`"))?;
        let data = vec![0; dims.iter().product::<usize>() * 4];
        let size = json!({ "binary_data_size": data.len() });
        let input =
            json!({ "name": name, "datatype": datatype, "shape": dims, "parameters": size });
        let binary = json!({ "binary_data_output": true });
        let json = json!({ "inputs": [input], "parameters": binary }).to_string();
        let head = format!(
            "POST /v2/models/{model}/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\
             inference-header-content-length: {}\r\n\r\n",
            json.len() + data.len(),
            json.len(),
        );
        Ok(Self {
            request: [head.as_bytes(), json.as_bytes(), &data].concat(),
        })
    }

    /// Sends it and reads the answer to its end.
    ///
    /// # Errors
    /// If the answer does not come, or is not 200.
    pub(super) fn send(&self, stream: &TcpStream) -> Result<()> {
        { stream }.write_all(&self.request)?;
        let mut reader = BufReader::new(stream);
        let mut lines = vec![];
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_ascii_lowercase()),
            }
        }
        let status = lines.first().map_or("", String::as_str);
        ensure!(
            status.starts_with("http/1.1 200"),
            "expected the status 200, found `{status}`"
        );
        let header = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name));
        if let Some(len) = header("content-length:") {
            let mut body = vec![0; len.trim().parse()?];
            reader.read_exact(&mut body)?;
            return Ok(());
        }
        // Chunks, each with its length before it, the last of none.
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let len = usize::from_str_radix(line.trim(), 16).with_context(|| {
                format!("expected the length of a chunk, found `{}`", line.trim())
            })?;
            let mut chunk = vec![0; len + 2];
            reader.read_exact(&mut chunk)?;
            if len == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn answered(answer: &'static str) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 1 << 16];
            let len = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..len]).into_owned()
        });
        let call = Call::new("m", "a:b:i32[1,2]").unwrap();
        let result = call.send(&TcpStream::connect(address).unwrap());
        let request = server.join().unwrap();
        assert!(
            request.starts_with("POST /v2/models/m/infer HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.ends_with("\0\0\0\0\0\0\0\0") && request.contains("\"a:b\""),
            "{request}"
        );
        result
    }

    #[test]
    fn reads_answers_to_their_end() {
        answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab").unwrap();
        answered(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
        )
        .unwrap();
        let error = answered("HTTP/1.1 500 Internal\r\nContent-Length: 0\r\n\r\n").unwrap_err();
        assert!(
            error.to_string().contains("found `http/1.1 500 internal`"),
            "{error}"
        );
        assert!(answered("").is_err());
    }

    #[test]
    fn refuses_what_is_no_input() {
        for wrong in ["x", "x:f32", "x:f32[N]", "x:u8[1]"] {
            assert!(Call::new("m", wrong).is_err(), "{wrong}");
        }
    }
}
