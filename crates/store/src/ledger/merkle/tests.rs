use super::*;
use ct_merkle::{
    HashableLeaf,
    digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update, typenum::U32},
    mem_backed_tree::MemoryBackedTree,
};
use proptest::prelude::*;

/// SHA-256 for the oracle.
#[derive(Clone)]
struct Sha256(aws_lc_rs::digest::Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }
}
impl OutputSizeUser for Sha256 {
    type OutputSize = U32;
}
impl HashMarker for Sha256 {}
impl Update for Sha256 {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}
impl FixedOutput for Sha256 {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(self.0.finish().as_ref());
    }
}

#[derive(Clone)]
struct Leaf(Vec<u8>);
impl HashableLeaf for Leaf {
    fn hash<H: Update>(&self, hasher: &mut H) {
        hasher.update(&self.0);
    }
}

fn entry(i: u64) -> Vec<u8> {
    format!("{{\"entry\":{i}}}").into_bytes()
}

fn leaves(size: u64) -> Vec<Digest> {
    (0..size).map(|i| leaf(&entry(i))).collect()
}

fn oracle(size: u64) -> MemoryBackedTree<Sha256, Leaf> {
    let mut tree = MemoryBackedTree::new();
    for i in 0..size {
        tree.push(Leaf(entry(i)));
    }
    tree
}

fn grow(leaves: &[Digest]) -> Tree {
    let mut tree = Tree::default();
    for leaf in leaves {
        tree.push(*leaf);
    }
    tree
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that proofs ask for")]
fn subtree(leaves: &[Digest], level: u8, index: u64) -> Result<Digest, std::convert::Infallible> {
    let width = 1_usize << level;
    let start = usize::try_from(index).unwrap() * width;
    Ok(grow(&leaves[start..start + width]).root())
}

fn flat(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|h| h.0).collect()
}

#[test]
fn the_root_of_nothing_and_of_one_are_those_of_the_rfc() {
    assert_eq!(Tree::default().root(), Digest::of(b""));
    assert_eq!(grow(&leaves(1)).root(), leaf(&entry(0)));
    // RFC 6962 test vectors of the certificate-transparency project: one empty leaf.
    assert_eq!(
        leaf(b"").to_string(),
        "sha256:6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
}

#[test]
fn going_back_forgets_what_was_pushed() {
    let all = leaves(600);
    let mut tree = grow(&all[..250]);
    let (mark, root) = (tree.mark(), tree.root());
    for leaf in &all[250..] {
        tree.push(*leaf);
    }
    assert_eq!(tree.tile(1), Some(grow(&all[256..512]).root()));
    tree.back_to(mark);
    assert_eq!((tree.size(), tree.root(), tree.tile(0)), (250, root, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn roots_and_proofs_are_those_of_the_oracle(size in 1_u64..600, a in any::<u64>(), b in any::<u64>()) {
        let (all, oracle) = (leaves(size), oracle(size));
        let root = grow(&all).root();
        let expected = oracle.root();
        prop_assert_eq!(root.0.as_slice(), expected.as_bytes().as_slice());

        let index = a % size;
        let hashes = inclusion(&mut |l, i| subtree(&all, l, i), index, size).unwrap();
        let theirs = oracle.prove_inclusion(usize::try_from(index).unwrap());
        prop_assert_eq!(flat(&hashes), theirs.as_bytes());
        let proof = InclusionProof { index, size, hashes };
        let this = &all[usize::try_from(index).unwrap()];
        prop_assert!(verify_inclusion(&proof, this, &root));

        let old = 1 + b % size;
        let old_root = grow(&all[..usize::try_from(old).unwrap()]).root();
        let hashes = consistency(&mut |l, i| subtree(&all, l, i), old, size).unwrap();
        if old < size {
            let theirs = oracle.prove_consistency(usize::try_from(size - old).unwrap());
            prop_assert_eq!(flat(&hashes), theirs.as_bytes());
        }
        let proof = ConsistencyProof { old, size, hashes };
        prop_assert!(verify_consistency(&proof, &old_root, &root));
        if old < size {
            prop_assert!(!verify_consistency(&proof, &root, &root), "another old root");
            prop_assert!(!verify_consistency(&proof, &old_root, &old_root), "another new root");
        }
    }

    #[test]
    fn a_proof_with_anything_changed_is_refused(size in 2_u64..300, a in any::<u64>(), bit in any::<u8>()) {
        let all = leaves(size);
        let root = grow(&all).root();
        let index = a % size;
        let hashes = inclusion(&mut |l, i| subtree(&all, l, i), index, size).unwrap();
        let this = all[usize::try_from(index).unwrap()];
        let good = InclusionProof { index, size, hashes };

        let mut flipped = good.clone();
        let at = usize::from(bit) % flipped.hashes.len();
        flipped.hashes[at].0[usize::from(bit >> 3)] ^= 1 << (bit & 7);
        prop_assert!(!verify_inclusion(&flipped, &this, &root));
        let mut short = good.clone();
        short.hashes.pop();
        prop_assert!(!verify_inclusion(&short, &this, &root));
        let mut long = good.clone();
        long.hashes.push(root);
        prop_assert!(!verify_inclusion(&long, &this, &root));
        let elsewhere = InclusionProof { index: (index + 1) % size, ..good };
        prop_assert!(!verify_inclusion(&elsewhere, &this, &root));
    }
}
