#![allow(clippy::all, clippy::pedantic, missing_docs, clippy::print_stdout, clippy::unwrap_used)]
use std::path::Path;
use tensorlet_compile::BuildOptions;
use tensorlet_executor::Executor;
use tensorlet_tensor::Tensor;
#[test]
fn dump() {
    let Ok(list) = std::env::var("H_CASES") else { return };
    for item in list.split_whitespace() {
        let parts: Vec<&str> = item.split('=').collect();
        let (case, model) = (parts[0], parts[1]);
        let mut options = BuildOptions::default();
        options.name = case.into();
        for spec in &parts[2..] { if let Some((n, v)) = spec.split_once(':').filter(|(_, v)| !v.contains('[')) { options.bind.insert(n.into(), v.parse().unwrap()); } else { options.inputs.push(spec.parse().unwrap()); } }
        let t = std::time::Instant::now();
        let plan = match tensorlet_compile::plan(Path::new(model), &options) { Ok(p) => p, Err(e) => { let mut s = format!("{e}"); let mut c: &dyn std::error::Error = &e; while let Some(n) = c.source() { s += &format!(": {n}"); c = n; } println!("## {case}: {s}"); continue; } };
        let compiled = t.elapsed();
        std::fs::write(format!("/tmp/tk-h/{case}.plan"), plan.to_string()).unwrap();
        let text = std::fs::read_to_string(format!("/tmp/tk-h/ref/{case}/case")).unwrap();
        let executor = match Executor::load(&plan, Default::default()) { Ok(e) => e, Err(e) => { println!("## {case}: {e}"); continue; } };
        let mut inputs = vec![]; let mut outs = vec![]; let mut ort = 0.0;
        for line in text.lines() {
            let f: Vec<&str> = line.split('|').collect();
            if f[0] == "ort" { ort = f[1].parse().unwrap(); continue; }
            let dims: Vec<u32> = f[3].split(',').filter(|x| !x.is_empty()).map(|x| x.parse().unwrap()).collect();
            let data = std::fs::read(f[4]).unwrap();
            let t = Tensor::new(f[2].parse().unwrap(), dims, data).unwrap();
            if f[0] == "in" { if !options.bind.contains_key(f[1]) { inputs.push((f[1].to_string(), t)); } } else { outs.push((f[1].to_string(), t)); }
        }
        let found = match executor.predict(&inputs) { Ok(f) => f, Err(e) => { println!("## {case}: {e}"); continue; } };
        let mut worst = 0.0f32; let mut note = String::new();
        for (e, f) in outs.iter().zip(&found) {
            if e.1.dims() != f.1.dims() { note += &format!(" dims {:?} vs {:?}", e.1.dims(), f.1.dims()); continue; }
            if e.1.datum_type().name() != "f32" { note += &format!(" {}", if e.1.data() == f.1.data() { "same" } else { "DIFFER" }); continue; }
            let fl = |t: &Tensor| -> Vec<f32> { t.data().chunks_exact(4).map(|w| f32::from_le_bytes(w.try_into().unwrap())).collect() };
            let (a, b) = (fl(&e.1), fl(&f.1));
            let max = a.iter().fold(1e-6f32, |m, x| m.max(x.abs()));
            for (x, y) in a.iter().zip(&b) { let d = (x - y).abs() / max; if !(d <= worst) { worst = d; } }
        }
        let mut best = f64::MAX; let begin = std::time::Instant::now();
        while begin.elapsed().as_secs_f64() < 0.6 { let t = std::time::Instant::now(); executor.predict(&inputs).unwrap(); best = best.min(t.elapsed().as_secs_f64()); }
        println!("## {case}: plan {compiled:.2?} steps {} constants {} KB onnx {} KB rel {worst:e}{note} time {:.3} ms ort {ort:.3} tract {:?}", plan.steps.len(), plan.constants.len() >> 10, std::fs::metadata(model).unwrap().len() >> 10, best * 1e3, plan.tract_operators());
    }
}
