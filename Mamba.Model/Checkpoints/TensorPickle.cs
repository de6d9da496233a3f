using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Mamba;

/// <summary>
/// The part of Python's pickle that a file of tensors needs: dictionaries of tensors, and no way to call anything else. Each opcode and each global
/// is on a list; whatever is not is refused by name. Nothing is looked up, imported or run: the four globals below are names for what is done here.
/// </summary>
internal ref struct TensorPickle
{
    const int MostAxes = 64, LongestName = 1 << 16;

    /// <summary>A tensor of a file: a view of a storage. Sizes and strides count elements.</summary>
    public sealed record View(Storage Of, long Offset, long[] Size, long[] Stride);

    /// <summary>Numbers that lie under a key in the archive.</summary>
    public sealed record Storage(string Type, string Key, long Count);

    sealed record Global(string Name);

    sealed class Dict : List<(object? Key, object? Value)>;

    sealed class Mark
    {
        public static readonly Mark Only = new();
    }

    static readonly Dictionary<string, string> Storages = new(StringComparer.Ordinal)
    {
        ["torch.FloatStorage"] = "F32",
        ["torch.DoubleStorage"] = "F64",
        ["torch.HalfStorage"] = "F16",
        ["torch.BFloat16Storage"] = "BF16",
        ["torch.LongStorage"] = "I64",
        ["torch.IntStorage"] = "I32",
    };

    const string RebuildTensor = "torch._utils._rebuild_tensor_v2", RebuildParameter = "torch._utils._rebuild_parameter", Ordered = "collections.OrderedDict";

    static readonly Dictionary<byte, string> Refused = new()
    {
        [(byte)'i'] = "INST",
        [(byte)'o'] = "OBJ",
        [0x81] = "NEWOBJ",
        [0x92] = "NEWOBJ_EX",
        [0x82] = "EXT1",
        [0x83] = "EXT2",
        [0x84] = "EXT4",
        [(byte)'P'] = "PERSID",
        [(byte)'I'] = "INT",
        [(byte)'L'] = "LONG",
        [0x8b] = "LONG4",
        [(byte)'S'] = "STRING",
        [(byte)'V'] = "UNICODE",
        [(byte)'F'] = "FLOAT",
        [(byte)'d'] = "DICT",
        [(byte)'l'] = "LIST",
        [(byte)'p'] = "PUT",
        [(byte)'g'] = "GET",
        [(byte)'0'] = "POP",
        [(byte)'1'] = "POP_MARK",
        [(byte)'2'] = "DUP",
        [(byte)'B'] = "BINBYTES",
        [(byte)'C'] = "SHORT_BINBYTES",
        [(byte)'T'] = "BINSTRING",
        [(byte)'U'] = "SHORT_BINSTRING",
        [0x8e] = "BINBYTES8",
        [0x8f] = "EMPTY_SET",
        [0x90] = "ADDITEMS",
        [0x91] = "FROZENSET",
        [0x96] = "BYTEARRAY8",
        [0x97] = "NEXT_BUFFER",
        [0x98] = "READONLY_BUFFER",
    };

    readonly string path;
    readonly ReadOnlySpan<byte> bytes;
    readonly List<object?> stack = [];
    readonly Dictionary<long, object?> memo = [];
    int at;

    TensorPickle(string path, ReadOnlySpan<byte> bytes)
    {
        this.path = path;
        this.bytes = bytes;
    }

    /// <summary>The tensors of a pickled dictionary, by name.</summary>
    /// <param name="path">The file it is from, for messages.</param>
    /// <param name="bytes">The pickle.</param>
    /// <exception cref="MambaException">It is cut off, holds other than tensors, or asks for something that a file of tensors does not need.</exception>
    public static IReadOnlyList<(string Name, View Tensor)> Read(string path, ReadOnlySpan<byte> bytes)
    {
        var machine = new TensorPickle(path, bytes);
        if (machine.Run() is not Dict top)
            throw machine.Bad("it holds no dictionary of tensors");
        var tensors = new List<(string, View)>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach ((object? key, object? value) in top)
        {
            if (key is not string name)
                throw machine.Bad($"a key of it is {Kind(key)}; expected the names of tensors");
            if (value is not View tensor)
                throw machine.Bad($"{Safetensors.Quote(name)} in it is {Kind(value)}; expected a tensor");
            if (!names.Add(name))
                throw machine.Bad($"{Safetensors.Quote(name)} is in it twice");
            tensors.Add((name, tensor));
        }
        return tensors;
    }

    object? Run()
    {
        while (true)
        {
            int place = at;
            byte code = Take(1)[0];
            switch (code)
            {
                case 0x80:                                                          // PROTO
                    if (Take(1)[0] is var protocol and (< 2 or > 5))
                        throw Bad($"it is of protocol {protocol}; expected 2 to 5");
                    break;
                case 0x95: Take(8); break;                                          // FRAME
                case (byte)'(': stack.Add(Mark.Only); break;
                case (byte)'N': stack.Add(null); break;
                case 0x88: stack.Add(true); break;
                case 0x89: stack.Add(false); break;
                case (byte)'K': stack.Add((long)Take(1)[0]); break;                 // BININT1
                case (byte)'M': stack.Add((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2))); break;
                case (byte)'J': stack.Add((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4))); break;
                case 0x8a: stack.Add(Long(Take(Take(1)[0]))); break;                // LONG1
                case (byte)'G': stack.Add(BinaryPrimitives.ReadDoubleBigEndian(Take(8))); break;
                case (byte)'X': stack.Add(Text(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))); break;
                case 0x8c: stack.Add(Text(Take(1)[0])); break;
                case 0x8d: stack.Add(Text(BinaryPrimitives.ReadUInt64LittleEndian(Take(8)))); break;
                case (byte)'}': stack.Add(new Dict()); break;
                case (byte)']': stack.Add(new List<object?>()); break;
                case (byte)')': stack.Add(Array.Empty<object?>()); break;
                case 0x85: Tuple(1); break;
                case 0x86: Tuple(2); break;
                case 0x87: Tuple(3); break;
                case (byte)'t': stack.Add(PopToMark()); break;
                case (byte)'a': Append([Pop()]); break;
                case (byte)'e': Append(PopToMark()); break;
                case (byte)'s':
                    object? value = Pop(), key = Pop();
                    SetItems([key, value]);
                    break;
                case (byte)'u': SetItems(PopToMark()); break;
                case (byte)'q': memo[Take(1)[0]] = Peek(); break;
                case (byte)'r': memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Peek(); break;
                case 0x94: memo[memo.Count] = Peek(); break;                        // MEMOIZE
                case (byte)'h': stack.Add(Recall(Take(1)[0])); break;
                case (byte)'j': stack.Add(Recall(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))); break;
                case (byte)'c':
                    string module = Line();
                    stack.Add(Find($"{module}.{Line()}"));
                    break;
                case 0x93:                                                          // STACK_GLOBAL
                    object? name = Pop(), of = Pop();
                    stack.Add(of is string m && name is string n ? Find($"{m}.{n}") : throw Bad($"a global at byte {place} has no name"));
                    break;
                case (byte)'Q': stack.Add(Persistent(Pop())); break;                // BINPERSID
                case (byte)'R':
                    object? arguments = Pop(), function = Pop();
                    stack.Add(Reduce(function, arguments));
                    break;
                case (byte)'b':                                                     // BUILD: the _metadata of a state_dict
                    Pop();
                    if (Peek() is not Dict)
                        throw Bad($"it sets the attributes of {Kind(Peek())}; expected those of a dictionary only");
                    break;
                case (byte)'.':
                    return Pop();
                default:
                    string known = Refused.TryGetValue(code, out string? word) ? word + " " : "";
                    throw Bad($"opcode {known}0x{code.ToString("X2", CultureInfo.InvariantCulture)} at byte {place} is not one that a file of tensors needs");
            }
        }
    }

    Global Find(string name)
    {
        if (name is RebuildTensor or RebuildParameter or Ordered || Storages.ContainsKey(name))
            return new Global(name);
        bool isStorage = name.StartsWith("torch.", StringComparison.Ordinal) && name.EndsWith("Storage", StringComparison.Ordinal);
        throw Bad(isStorage
            ? $"it has a {Safetensors.OneLine(name)}; tensors of float64, float32, float16, bfloat16, int64 and int32 can be read"
            : $"it asks for {Safetensors.Quote(name)}, which a file of tensors does not need; nothing of it was run");
    }

    Storage Persistent(object? id)
    {
        if (id is not object?[] { Length: 5 } parts || parts[0] is not "storage" || parts[1] is not Global type || parts[2] is not string key
            || parts[3] is not string || parts[4] is not long count || count < 0 || !Storages.TryGetValue(type.Name, out string? element))
            throw Bad("a persistent id in it is not that of a storage");
        return new Storage(element, key, count);
    }

    object? Reduce(object? function, object? arguments)
    {
        string name = function is Global global ? global.Name : throw Bad($"it calls {Kind(function)}");
        object?[] given = arguments as object?[] ?? throw Bad($"it calls {name} with {Kind(arguments)}; expected a tuple");
        switch (name)
        {
            case Ordered when given.Length == 0:
                return new Dict();
            case RebuildParameter when given.Length == 3 && given[0] is View parameter:
                return parameter;
            case RebuildTensor when given.Length is 6 or 7 && given[0] is Storage of && given[1] is long offset
                && given[2] is object?[] size && given[3] is object?[] stride:
                return new View(of, offset, Extents(size), Extents(stride));
            default:
                throw Bad($"it calls {name} with other arguments than a tensor has");
        }
    }

    readonly long[] Extents(object?[] extents)
    {
        if (extents.Length > MostAxes)
            throw Bad($"a tensor in it has {extents.Length} axes; expected at most {MostAxes}");
        long[] values = new long[extents.Length];
        for (int i = 0; i < values.Length; i++)
            values[i] = extents[i] is long value ? value : throw Bad($"an extent of a tensor in it is {Kind(extents[i])}; expected a whole number");
        return values;
    }

    // ---- the machine's parts ---------------------------------------------------------------------

    ReadOnlySpan<byte> Take(long count)
    {
        if (count < 0 || count > bytes.Length - at)
            throw Bad($"its pickle ends at byte {bytes.Length}, in the middle of something");
        ReadOnlySpan<byte> taken = bytes.Slice(at, (int)count);
        at += (int)count;
        return taken;
    }

    string Text(ulong length) => Encoding.UTF8.GetString(length <= LongestName ? Take((long)length)
        : throw Bad($"it has a text of {length} bytes; expected at most {LongestName}"));

    string Line()
    {
        int length = bytes[at..].IndexOf((byte)'\n');
        string line = Text(length < 0 ? LongestName : (ulong)length);
        at++;
        return line;
    }

    readonly long Long(ReadOnlySpan<byte> little)
    {
        if (little.Length > 8)
            throw Bad($"it has a whole number of {little.Length} bytes; expected at most 8");
        long value = little.Length > 0 && (little[^1] & 0x80) != 0 ? -1 : 0;
        for (int i = little.Length - 1; i >= 0; i--)
            value = value << 8 | little[i];
        return value;
    }

    readonly object? Peek() => stack.Count > 0 && stack[^1] is not Mark ? stack[^1] : throw Bad("it takes more from its stack than it put there");

    readonly object? Pop()
    {
        object? top = Peek();
        stack.RemoveAt(stack.Count - 1);
        return top;
    }

    readonly object?[] PopToMark()
    {
        int mark = stack.LastIndexOf(Mark.Only);
        if (mark < 0)
            throw Bad("it takes more from its stack than it put there");
        object?[] items = [.. stack[(mark + 1)..]];
        stack.RemoveRange(mark, stack.Count - mark);
        return items;
    }

    readonly void Tuple(int count)
    {
        object?[] items = new object?[count];
        for (int i = count - 1; i >= 0; i--)
            items[i] = Pop();
        stack.Add(items);
    }

    readonly void Append(object?[] items)
    {
        if (Peek() is not List<object?> list)
            throw Bad($"it appends to {Kind(Peek())}; expected a list");
        list.AddRange(items);
    }

    readonly void SetItems(object?[] items)
    {
        if (Peek() is not Dict dict || items.Length % 2 != 0)
            throw Bad($"it sets items of {Kind(Peek())}; expected pairs of a dictionary");
        for (int i = 0; i < items.Length; i += 2)
            dict.Add((items[i], items[i + 1]));
    }

    readonly object? Recall(long index) => memo.TryGetValue(index, out object? value) ? value : throw Bad($"it recalls item {index}, which is not there");

    static string Kind(object? value) => value switch
    {
        null => "None",
        string => "a text",
        long or bool or double => "a number",
        object?[] => "a tuple",
        Dict => "a dictionary",
        Global global => Safetensors.OneLine(global.Name),
        Storage => "a storage",
        View => "a tensor",
        _ => "a list",
    };

    readonly MambaException Bad(string what) => new($"{path}: {what}.");
}
