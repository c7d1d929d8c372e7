//! As much of SQLite's file format as reading whole tables takes.
//!
//! The file is pages; a table is a tree of them whose leaves hold the rows, the longest rows go on in
//! overflow pages. Every page number comes from the file and is not believed: trees have a greatest depth,
//! and a walk visits no more pages than there are.

use anyhow::{Context, Result, bail, ensure};

use super::record::{Value, record, varint};

const MAGIC: &[u8] = b"SQLite format 3\0";
/// Of the whole file, at the front of its first page.
const FILE_HEADER: usize = 100;
/// SQLite itself stops at 20 levels.
const DEEPEST: usize = 20;
const INTERIOR_TABLE: u8 = 0x05;
const LEAF_TABLE: u8 = 0x0D;

/// Whether it begins as one.
pub(in super::super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// A database file.
pub(super) struct Pages<'a> {
    bytes: &'a [u8],
    page: usize,
    /// What of a page is used: the rest is other programs'.
    usable: usize,
}

impl<'a> Pages<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        let header = bytes.get(..FILE_HEADER).context("the file ends within its head")?;
        let page = match u16_at(header, 16) {
            Some(1) => 65_536,
            Some(page) if page.is_power_of_two() && page >= 512 => page.into(),
            _ => bail!("offset 16: no size of pages"),
        };
        let reserved: usize = header.get(20).copied().unwrap_or_default().into();
        let usable = page - reserved;
        ensure!(usable >= 480, "offset 20: too little of a page is used");
        ensure!(u32_at(header, 56) == Some(1), "offset 56: text is not in UTF-8");
        Ok(Self { bytes, page, usable })
    }

    /// Calls `row` with every row of the table whose tree begins at the page `root`.
    pub(super) fn table(
        &self,
        root: u32,
        row: &mut impl FnMut(Vec<Value<'_>>) -> Result<()>,
    ) -> Result<()> {
        let mut budget = self.bytes.len() / self.page;
        self.tree(root, 0, &mut budget, row)
    }

    fn tree(
        &self,
        number: u32,
        depth: usize,
        budget: &mut usize,
        row: &mut impl FnMut(Vec<Value<'_>>) -> Result<()>,
    ) -> Result<()> {
        ensure!(depth < DEEPEST, "page {number}: the tree is too deep");
        *budget = budget.checked_sub(1).context("a tree of more pages than there are")?;
        let (page, start) = self.page(number)?;
        let broken = || format!("page {number}: no page of a table");
        let kind = *page.get(start).with_context(broken)?;
        let cells = usize::from(u16_at(page, start + 3).with_context(broken)?);
        let pointers = start + if kind == INTERIOR_TABLE { 12 } else { 8 };
        for index in 0..cells {
            let cell = u16_at(page, pointers + 2 * index).map(usize::from);
            let cell = cell.and_then(|cell| page.get(cell..)).with_context(broken)?;
            match kind {
                INTERIOR_TABLE => {
                    let child = u32_at(cell, 0).with_context(broken)?;
                    self.tree(child, depth + 1, budget, row)?;
                }
                LEAF_TABLE => {
                    let payload = self.payload(cell, budget).with_context(broken)?;
                    row(record(&payload).with_context(broken)?)?;
                }
                _ => bail!(broken()),
            }
        }
        if kind == INTERIOR_TABLE {
            let last = u32_at(page, start + 8).with_context(broken)?;
            self.tree(last, depth + 1, budget, row)?;
        }
        Ok(())
    }

    /// A page, and where its tree begins: the first page has the head of the file in front.
    fn page(&self, number: u32) -> Result<(&'a [u8], usize)> {
        let missing = || format!("page {number} is not in the file");
        let index = usize::try_from(number)?.checked_sub(1).with_context(missing)?;
        let start = index.checked_mul(self.page).with_context(missing)?;
        let page = self.bytes.get(start..).and_then(|rest| rest.get(..self.usable));
        let tree = if number == 1 { FILE_HEADER } else { 0 };
        Ok((page.with_context(missing)?, tree))
    }

    /// What a cell of a leaf holds, together with its overflow pages.
    fn payload(&self, cell: &'a [u8], budget: &mut usize) -> Option<Vec<u8>> {
        let (length, cell) = varint(cell)?;
        let (_rowid, cell) = varint(cell)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= self.bytes.len())?;
        let most = self.usable - 35;
        if length <= most {
            return cell.get(..length).map(<[u8]>::to_vec);
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let fitting = least + (length - least) % (self.usable - 4);
        let local = if fitting <= most { fitting } else { least };
        let mut payload = cell.get(..local)?.to_vec();
        let mut next = u32_at(cell, local)?;
        while payload.len() < length {
            *budget = budget.checked_sub(1)?;
            let (page, _) = self.page(next).ok()?;
            next = u32_at(page, 0)?;
            let content = page.get(4..)?;
            payload.extend_from_slice(content.get(..content.len().min(length - payload.len()))?);
        }
        Some(payload)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
