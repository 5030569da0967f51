//! The way from the emulator's 32-bit entry to [`kernel_main`](crate::kernel_main) in 64 bits.
//!
//! ```text
//!   entry32:  ebx = start information            page tables: 4 GiB, one to one, pages of 2 MiB
//!      |      stack, tables, PAE, SSE, long mode
//!      v
//!   entry64:  kernel_main(start information)     4 KiB tables in .bss: level 4, level 3, four of level 2
//! ```
//!
//! # Design
//!
//! The boot protocol is PVH (Xen's "physical 32-bit entry"), named by an ELF note: the emulator loads the file as it is and
//! jumps to `entry32` in 32-bit protected mode without paging. Code that is built for the host uses SSE registers, so these
//! are turned on before any Rust runs. There is no interrupt table: a fault resets the machine, which the emulator is told
//! to turn into its end.

core::arch::global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long entry32

    .section .bss.boot, "aw", @nobits
    .balign 4096
level4: .skip 4096
level3: .skip 4096
level2: .skip 4 * 4096
stack_bottom: .skip 65536
stack_top:

    .section .rodata.boot, "a"
    .balign 8
descriptors:
    .quad 0
    .quad 0x00af9a000000ffff
    .quad 0x00cf92000000ffff
descriptors_end:
descriptors_pointer:
    .word descriptors_end - descriptors - 1
    .long descriptors

    .section .text.boot, "ax"
    .code32
    .global entry32
entry32:
    cli
    mov $stack_top, %esp
    mov %ebx, %ebp

    mov $level2, %edi
    mov $0x83, %eax
    mov $2048, %ecx
1:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $0x200000, %eax
    add $8, %edi
    dec %ecx
    jnz 1b

    mov $level3, %edi
    mov $level2, %eax
    or $3, %eax
    mov $4, %ecx
2:  mov %eax, (%edi)
    add $4096, %eax
    add $8, %edi
    dec %ecx
    jnz 2b

    mov $level3, %eax
    or $3, %eax
    mov %eax, level4

    mov $level4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x620, %eax
    mov %eax, %cr4
    mov $0xC0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    and $~4, %eax
    or $0x80000002, %eax
    mov %eax, %cr0
    lgdt descriptors_pointer
    ljmp $8, $entry64

    .code64
entry64:
    mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $stack_top, %rsp
    mov %ebp, %edi
    xor %ebp, %ebp
    call kernel_main
3:  hlt
    jmp 3b
"#,
    options(att_syntax)
);
