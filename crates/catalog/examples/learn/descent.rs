//! Finds where a function is least.

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The least by L-BFGS (Nocedal, 1980), from the value and the slope at each place.
pub(crate) fn descend(mut x: Vec<f64>, slope: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    const MEMORY: usize = 8;
    const ROUNDS: usize = 150;
    let (mut cost, mut down) = slope(&x);
    let mut past: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for _ in 0..ROUNDS {
        let mut way = down.clone();
        let mut shares = Vec::new();
        for (s, y, inner) in past.iter().rev() {
            let share = dot(s, &way) / inner;
            way.iter_mut().zip(y).for_each(|(one, y)| *one -= share * y);
            shares.push(share);
        }
        if let Some((_, y, inner)) = past.last() {
            let scale = inner / dot(y, y);
            way.iter_mut().for_each(|one| *one *= scale);
        }
        for ((s, y, inner), share) in past.iter().zip(shares.iter().rev()) {
            let back = share - dot(y, &way) / inner;
            way.iter_mut().zip(s).for_each(|(one, s)| *one += back * s);
        }
        let steep = dot(&way, &down);
        let mut length = if past.is_empty() { 1.0 / dot(&down, &down).sqrt() } else { 1.0 };
        let (next, there) = loop {
            let next: Vec<f64> = x.iter().zip(&way).map(|(x, way)| x - length * way).collect();
            let there = slope(&next);
            if there.0 <= cost - 1e-4 * length * steep || length < 1e-12 {
                break (next, there);
            }
            length /= 2.0;
        };
        let s: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = there.1.iter().zip(&down).map(|(a, b)| a - b).collect();
        let inner = dot(&s, &y);
        let gained = cost - there.0;
        (x, cost, down) = (next, there.0, there.1);
        if inner > 0.0 {
            past.push((s, y, inner));
            past.drain(..past.len().saturating_sub(MEMORY));
        }
        if gained < cost * 1e-6 {
            break;
        }
    }
    x
}
