//! One GGUF file into another with the same weights in Q8_0.

use std::io::{Read, Seek, Write};

use candle_core::{
    Device, Result,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{Content, Value, write},
    },
};

/// `general.file_type` of a file that is mostly Q8_0 (`LLAMA_FTYPE_MOSTLY_Q8_0` of llama.cpp).
const MOSTLY_Q8_0: u32 = 7;

/// Writes every matrix in Q8_0, in which candle is three times as fast as in Q4_1; vectors and the metadata stay
/// as they are. Keys and tensors come in the order of their names, so the same input gives the same bytes.
///
/// # Errors
/// The input is no GGUF file, or a file can't be read or written.
pub(super) fn requantize<R: Read + Seek, W: Write + Seek>(reader: &mut R, writer: &mut W) -> Result<()> {
    let content = Content::read(reader)?;
    let mut names: Vec<&String> = content.tensor_infos.keys().collect();
    names.sort_unstable();
    let mut tensors = Vec::with_capacity(names.len());
    for name in names {
        let tensor = content.tensor(reader, name, &Device::Cpu)?;
        let is_done = tensor.rank() < 2 || tensor.dtype() == GgmlDType::Q8_0;
        let tensor = if is_done {
            tensor
        } else {
            QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?
        };
        tensors.push((name.as_str(), tensor));
    }
    let file_type = Value::U32(MOSTLY_Q8_0);
    let mut metadata: Vec<(&str, &Value)> = content
        .metadata
        .iter()
        .map(|(key, value)| (key.as_str(), if key == "general.file_type" { &file_type } else { value }))
        .collect();
    metadata.sort_unstable_by_key(|(key, _)| *key);
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    write(writer, &metadata, &tensors)
}
