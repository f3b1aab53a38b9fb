//! Mesos's JSON form of protobuf messages, field kind by field kind.
//!
//! The rules are those of the original's stout library, not of proto3 JSON: numbers may be read from strings,
//! 64-bit integers are written bare, `null` is unset, a single value stands for a list of one, bytes are base64,
//! doubles may be `"Infinity"`, an unknown name of an optional enum is dropped. The generated types name the
//! functions here in their serde attributes (see `build.rs`).

use base64::Engine as _;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Written with padding, read with or without.
const BASE64: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// How the error begins that a `null` for a required field gives; the codec puts the field's path to it.
pub(crate) const NULL_REQUIRED: &str = "a required field is null";

/// An enum of the wire contract: a number on the wire, a name in JSON.
pub trait ProtoEnum: Copy + TryFrom<i32> {
    /// The name as the proto file has it.
    fn name(self) -> &'static str;
    /// The value of that name, if there is one.
    fn by_name(name: &str) -> Option<Self>;
}

/// How one kind of field is read from and written to JSON; the field's Rust type is `T`.
trait Kind<T> {
    /// Reads a value; `Ok(None)` is a value to be ignored (an unknown name of an optional enum).
    fn value<'de, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error>;
    /// Reads a value that must be there.
    fn required<'de, D: Deserializer<'de>>(d: D) -> Result<T, D::Error>
    where
        Self: Sized,
    {
        let value = Option::<Via<Self, T>>::deserialize(d)?.and_then(|v| v.0);
        value.ok_or_else(|| D::Error::custom(NULL_REQUIRED))
    }
    /// Writes a value.
    fn emit<S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error>;
}

/// Deserializes through a [`Kind`] where serde wants a type.
struct Via<K, T>(Option<T>, PhantomData<K>);

impl<'de, K: Kind<T>, T> Deserialize<'de> for Via<K, T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        K::value(d).map(|v| Via(v, PhantomData))
    }
}

/// Serializes through a [`Kind`].
struct Emit<'a, K, T>(&'a T, PhantomData<K>);

impl<K: Kind<T>, T> Serialize for Emit<'_, K, T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        K::emit(self.0, s)
    }
}

macro_rules! field_functions {
    ([$($p:ident: $bound:path)?] $kind:ty, $t:ty) => {
        impl$(<$p: $bound>)? $kind {
            pub(crate) fn read<'de, D: Deserializer<'de>>(d: D) -> Result<$t, D::Error> {
                <Self as Kind<$t>>::required(d)
            }
            pub(crate) fn read_option<'de, D: Deserializer<'de>>(d: D) -> Result<Option<$t>, D::Error> {
                Ok(Option::<Via<Self, $t>>::deserialize(d)?.and_then(|v| v.0))
            }
            #[allow(dead_code, reason = "not every kind occurs in a list")]
            pub(crate) fn read_list<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<$t>, D::Error> {
                list::<Self, $t, D>(d)
            }
            pub(crate) fn write<S: Serializer>(v: &$t, s: S) -> Result<S::Ok, S::Error> {
                Self::emit(v, s)
            }
            pub(crate) fn write_option<S: Serializer>(v: &Option<$t>, s: S) -> Result<S::Ok, S::Error> {
                match v {
                    Some(v) => Self::emit(v, s),
                    None => s.serialize_none(),
                }
            }
            #[allow(dead_code, reason = "not every kind occurs in a list")]
            pub(crate) fn write_list<S: Serializer>(v: &[$t], s: S) -> Result<S::Ok, S::Error> {
                s.collect_seq(v.iter().map(|v| Emit::<Self, $t>(v, PhantomData)))
            }
        }
    };
}

/// Strings: serde's own rules.
pub(crate) struct Plain<T>(PhantomData<T>);

impl<T: Serialize + DeserializeOwned> Kind<T> for Plain<T> {
    fn value<'de, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
        T::deserialize(d).map(Some)
    }
    fn emit<S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
        value.serialize(s)
    }
}
field_functions!([T: Wire] Plain<T>, T);

/// What [`Plain`] can carry.
pub(crate) trait Wire: Serialize + DeserializeOwned {}
impl<T: Serialize + DeserializeOwned> Wire for T {}

/// Nested messages. (Not generic over the message, so that the build script need not name it.)
pub(crate) struct Message;

impl<T: Serialize + DeserializeOwned> Kind<T> for Message {
    fn value<'de, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
        object(d).map(Some)
    }
    fn emit<S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
        value.serialize(s)
    }
}

/// Reads a message from an object. (serde would read it from a list of its fields too.)
fn object<'de, T: DeserializeOwned, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    struct Fields<T>(PhantomData<T>);
    impl<'de, T: DeserializeOwned> Visitor<'de> for Fields<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    d.deserialize_map(Fields(PhantomData))
}

impl Message {
    pub(crate) fn read<'de, D: Deserializer<'de>, T: Wire>(d: D) -> Result<T, D::Error> {
        <Self as Kind<T>>::required(d)
    }
    pub(crate) fn read_option<'de, D: Deserializer<'de>, T: Wire>(
        d: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Via<Self, T>>::deserialize(d)?.and_then(|v| v.0))
    }
    pub(crate) fn read_list<'de, D: Deserializer<'de>, T: Wire>(d: D) -> Result<Vec<T>, D::Error> {
        list::<Self, T, D>(d)
    }
    pub(crate) fn write<S: Serializer, T: Wire>(v: &T, s: S) -> Result<S::Ok, S::Error> {
        v.serialize(s)
    }
    pub(crate) fn write_option<S: Serializer, T: Wire>(
        v: &Option<T>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        v.serialize(s)
    }
    pub(crate) fn write_list<S: Serializer, T: Wire>(v: &[T], s: S) -> Result<S::Ok, S::Error> {
        v.serialize(s)
    }
}

/// Enums, by name.
pub(crate) struct Enum<E>(PhantomData<E>);

impl<E: ProtoEnum> Kind<i32> for Enum<E>
where
    E: Into<i32>,
{
    fn value<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i32>, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(d)?;
        Ok(E::by_name(&name).map(Into::into))
    }
    fn required<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
        let name = Option::<std::borrow::Cow<str>>::deserialize(d)?
            .ok_or_else(|| D::Error::custom(NULL_REQUIRED))?;
        let known = E::by_name(&name).map(Into::into);
        known.ok_or_else(|| D::Error::custom(format_args!("Failed to find enum for '{name}'")))
    }
    fn emit<S: Serializer>(value: &i32, s: S) -> Result<S::Ok, S::Error> {
        match E::try_from(*value) {
            Ok(known) => s.serialize_str(known.name()),
            // A number of a newer version, read from protobuf: pass it on as it came.
            Err(_) => s.serialize_i32(*value),
        }
    }
}

/// A bound that names both needs of [`Enum`].
pub(crate) trait Named: ProtoEnum + Into<i32> {}
impl<E: ProtoEnum + Into<i32>> Named for E {}
field_functions!([E: Named] Enum<E>, i32);

/// `bytes`, as base64.
pub(crate) struct Bytes;

impl Kind<Vec<u8>> for Bytes {
    fn value<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        BASE64
            .decode(text.as_bytes())
            .map(Some)
            .map_err(|e| D::Error::custom(format_args!("invalid base64: {e}")))
    }
    fn emit<S: Serializer>(value: &Vec<u8>, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&BASE64.encode(value))
    }
}
field_functions!([] Bytes, Vec<u8>);

/// Booleans; the strings `"true"` and `"false"` too.
pub(crate) struct Bool;

impl Kind<bool> for Bool {
    fn value<'de, D: Deserializer<'de>>(d: D) -> Result<Option<bool>, D::Error> {
        struct Truth;
        impl Visitor<'_> for Truth {
            type Value = bool;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a boolean")
            }
            fn visit_bool<E>(self, v: bool) -> Result<bool, E> {
                Ok(v)
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<bool, E> {
                v.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(v), &self))
            }
        }
        d.deserialize_any(Truth).map(Some)
    }
    fn emit<S: Serializer>(value: &bool, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bool(*value)
    }
}
field_functions!([] Bool, bool);

/// Doubles; strings too, and the infinities that task limits use.
pub(crate) struct Double;

impl Kind<f64> for Double {
    fn value<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = f64;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E>(self, v: f64) -> Result<f64, E> {
                Ok(v)
            }
            fn visit_u64<E>(self, v: u64) -> Result<f64, E> {
                Ok(v as f64)
            }
            fn visit_i64<E>(self, v: i64) -> Result<f64, E> {
                Ok(v as f64)
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<f64, E> {
                match v {
                    "Infinity" => Ok(f64::INFINITY),
                    "-Infinity" => Ok(f64::NEG_INFINITY),
                    // A JSON number, so not all that Rust reads as one ("inf", "nan", "+1").
                    _ => serde_json::from_str(v)
                        .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(v), &self)),
                }
            }
        }
        d.deserialize_any(Number).map(Some)
    }
    fn emit<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        match *value {
            v if v.is_finite() => s.serialize_f64(v),
            v if v.is_nan() => s.serialize_str("NaN"),
            v if v > 0.0 => s.serialize_str("Infinity"),
            _ => s.serialize_str("-Infinity"),
        }
    }
}
field_functions!([] Double, f64);

/// Integers; strings and doubles without a fraction too.
pub(crate) struct Int<T>(PhantomData<T>);

impl<T: Serialize + TryFrom<i128>> Kind<T> for Int<T> {
    fn value<'de, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = i128;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an integer")
            }
            fn visit_u64<E>(self, v: u64) -> Result<i128, E> {
                Ok(v.into())
            }
            fn visit_i64<E>(self, v: i64) -> Result<i128, E> {
                Ok(v.into())
            }
            fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<i128, E> {
                // Beyond 2^63 (and below -2^63) a double is an integer too long for 64 bits, rounded.
                if v.fract() == 0.0 && v.abs() < 9.2e18 {
                    Ok(v as i128)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Float(v), &self))
                }
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<i128, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Str(v), &self);
                let number: serde_json::Number = serde_json::from_str(v).map_err(|_| wrong())?;
                match (number.as_i64(), number.as_u64(), number.as_f64()) {
                    (Some(v), ..) => Ok(v.into()),
                    (None, Some(v), _) => Ok(v.into()),
                    (None, None, Some(v)) => self.visit_f64(v),
                    _ => Err(wrong()),
                }
            }
        }
        let wide = d.deserialize_any(Whole)?;
        T::try_from(wide)
            .map(Some)
            .map_err(|_| D::Error::custom(format_args!("the number {wide} is out of range")))
    }
    fn emit<S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
        value.serialize(s)
    }
}

/// What [`Int`] can carry.
pub(crate) trait Whole: Serialize + TryFrom<i128> {}
impl<T: Serialize + TryFrom<i128>> Whole for T {}
field_functions!([T: Whole] Int<T>, T);

/// A list; one bare value stands for a list of one, `null` for an empty one. Nulls inside are left out.
fn list<'de, K: Kind<T>, T, D: Deserializer<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    struct Many<K, T>(PhantomData<(K, T)>);
    macro_rules! single {
        ($($visit:ident: $t:ty),*) => {$(
            fn $visit<E: serde::de::Error>(self, v: $t) -> Result<Vec<T>, E> {
                let d: <$t as IntoDeserializer<'de, E>>::Deserializer = v.into_deserializer();
                Ok(K::value(d)?.into_iter().collect())
            }
        )*};
    }
    impl<'de, K: Kind<T>, T> Visitor<'de> for Many<K, T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<T>, A::Error> {
            let all = Vec::<Option<Via<K, T>>>::deserialize(SeqAccessDeserializer::new(seq))?;
            Ok(all.into_iter().flatten().filter_map(|v| v.0).collect())
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
            Ok(K::value(MapAccessDeserializer::new(map))?.into_iter().collect())
        }
        single!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
        fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Vec<T>, E> {
            let d: serde::de::value::StringDeserializer<E> = v.to_string().into_deserializer();
            Ok(K::value(d)?.into_iter().collect())
        }
    }
    d.deserialize_any(Many::<K, T>(PhantomData))
}

/// A map field; `null` is an empty one, and a key whose value is `null` is left out.
pub(crate) fn map<'de, D, V>(d: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: DeserializeOwned,
{
    let all = Option::<BTreeMap<String, Option<NoList<V>>>>::deserialize(d)?.unwrap_or_default();
    Ok(all.into_iter().filter_map(|(key, value)| Some((key, value?.0))).collect())
}

/// A string or a message. (serde would read a message from a list of its fields too.)
struct NoList<V>(V);

impl<'de, V: DeserializeOwned> Deserialize<'de> for NoList<V> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either<V>(PhantomData<V>);
        impl<'de, V: DeserializeOwned> Visitor<'de> for Either<V> {
            type Value = V;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string or an object")
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<V, E> {
                V::deserialize(v.into_deserializer())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V, A::Error> {
                V::deserialize(MapAccessDeserializer::new(map))
            }
        }
        d.deserialize_any(Either(PhantomData)).map(Self)
    }
}

/// A whole message: an object and nothing else.
pub(crate) struct Object<M>(pub(crate) M);

impl<'de, M: DeserializeOwned> Deserialize<'de> for Object<M> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        object(d).map(Self)
    }
}
